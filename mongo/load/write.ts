import type { ClientSession } from 'mongodb';
import type { RawId } from '../ids.js';
import type { Refusal } from './quarantine.js';

/** A transformed document on its way. */
export interface Output {
  readonly id: RawId;
  readonly document: Uint8Array;
  /** As it was read. */
  readonly source: Uint8Array;
}

export interface WriteResult {
  /** Documents that the destination did not take, as they were read. */
  readonly refused: readonly { readonly document: Uint8Array; readonly refusal: Refusal }[];
}

/** Writes the documents of one batch, so that an attempt that follows one that was cut short leaves the same. */
export interface Writer {
  write(outputs: readonly Output[]): Promise<WriteResult>;
  /** Before the batch is committed. */
  finish(): Promise<WriteResult>;
  /** Commits, in the writer's transaction where it has one. */
  commit(body: (session?: ClientSession) => Promise<string>): Promise<string>;
  /** Lets go of what it holds, also after a failure. */
  close(): Promise<void>;
}
