import {
  findEvidence as findDocumentEvidence,
  readEvidence as readDocumentEvidence,
} from '../mongo/ledger/evidence.js';
import { readLedgerOf as readDocumentLedgerOf } from '../mongo/ledger/records.js';
import type { Ledger } from '../mongo/ledger/store.js';
import { findEvidence, readEvidence, readLedgerOf } from '../postgres/ledger/records.js';
import type { Session } from '../postgres/session.js';
import type { AuditableLedger } from './audits.js';

/** A run in the ledger of a PostgreSQL destination; in the caller's transaction, so that it is one state. */
export async function auditableRun(session: Session, run: string): Promise<AuditableLedger> {
  return {
    ...(await readLedgerOf(session, run)),
    evidence: ({ partition, batch }) => readEvidence(session, { run, partition, batch }),
    findEvidence: (table, digest) => findEvidence(session, run, table, digest),
  };
}

/** A run in the ledger of a MongoDB destination. */
export async function auditableDocumentRun(ledger: Ledger, run: string): Promise<AuditableLedger> {
  return {
    ...(await readDocumentLedgerOf(ledger, run)),
    async evidence({ partition, batch }) {
      const found = await ledger.batches.findOne({ _id: `${run}/${partition}/${batch}` });
      return found ? readDocumentEvidence(ledger, found) : undefined;
    },
    findEvidence: (table, digest) => findDocumentEvidence(ledger, run, table, digest),
  };
}
