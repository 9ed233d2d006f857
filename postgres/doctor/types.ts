export interface DoctorOptions {
  /** Leave one out to check the other only. */
  readonly sourceUrl?: string;
  readonly destinationUrl?: string;
  /** `source.encoding` of the job. */
  readonly encoding?: string;
  /** Tables of the job. Default: all. */
  readonly include?: (schema: string, table: string) => boolean;
  /** `source.connections`. Default 4. */
  readonly sourceConnections?: number;
  /** `destination.connections`. Default 4. */
  readonly destinationConnections?: number;
  readonly createSchema?: boolean;
  /** Default `replace`. */
  readonly mode?: 'replace' | 'upsert';
  /** Name of the job, for its claim. */
  readonly job?: string;
  readonly applicationName: string;
}
