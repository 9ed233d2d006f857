import { query, type Session } from '../session.js';

/** A published snapshot of the source. */
export interface HeldSnapshot {
  /** Rises when a snapshot was lost for good; a generation is one state of the source. */
  readonly generation: number;
  readonly holder: number;
  /** What `SET TRANSACTION SNAPSHOT` takes. */
  readonly exportedId: string;
}

/** The snapshots of the newest generation that are held, as far as is known. */
export async function currentSnapshots(session: Session, run: string): Promise<HeldSnapshot[]> {
  const rows = await query(
    session,
    `SELECT generation, holder, exported_id FROM lethe.snapshot
     WHERE run = $1 AND lost IS NULL AND generation = (SELECT max(generation) FROM lethe.snapshot WHERE run = $1)
     ORDER BY holder`,
    [run],
  );
  return rows.map((row) => ({
    generation: Number(row.generation),
    holder: Number(row.holder),
    exportedId: row.exported_id!,
  }));
}

/** Publishes what a holder exported; a holder that comes back replaces its former one. */
export async function publishSnapshot(session: Session, run: string, snapshot: HeldSnapshot): Promise<void> {
  await query(
    session,
    `INSERT INTO lethe.snapshot (run, generation, holder, exported_id) VALUES ($1, $2, $3, $4)
     ON CONFLICT (run, generation, holder)
     DO UPDATE SET exported_id = excluded.exported_id, opened = clock_timestamp(), lost = NULL`,
    [run, String(snapshot.generation), String(snapshot.holder), snapshot.exportedId],
  );
}

/** Marks an exported snapshot as gone: whoever found out tells the others. */
export async function loseSnapshot(session: Session, run: string, exportedId: string): Promise<void> {
  await query(
    session,
    'UPDATE lethe.snapshot SET lost = clock_timestamp() WHERE run = $1 AND exported_id = $2 AND lost IS NULL',
    [run, exportedId],
  );
}

/** Whether a published snapshot still counts: nobody reported it gone. */
export async function isHeld(session: Session, run: string, exportedId: string): Promise<boolean> {
  const rows = await query(
    session,
    'SELECT FROM lethe.snapshot WHERE run = $1 AND exported_id = $2 AND lost IS NULL',
    [run, exportedId],
  );
  return rows.length > 0;
}

/** The newest generation of a run, lost or not; 0 before the first. */
export async function lastGeneration(session: Session, run: string): Promise<number> {
  const [row] = await query(
    session,
    'SELECT coalesce(max(generation), 0) AS generation FROM lethe.snapshot WHERE run = $1',
    [run],
  );
  return Number(row?.generation);
}
