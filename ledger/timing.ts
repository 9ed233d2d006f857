/** A partition activity that is silent for longer is given to another worker. Seconds. */
export const PARTITION_HEARTBEAT_S = 20;

/** The same for a snapshot holder: shorter, since a lost snapshot costs more the later it is noticed. Seconds. */
export const HOLDER_HEARTBEAT_S = 15;
