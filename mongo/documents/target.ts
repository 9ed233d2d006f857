import type {
  ChunkContext,
  Column,
  ColumnTransform,
  ColumnType,
  TransformerSpec,
} from '../../anonymize/transformer.js';
import { BSON } from './bson.js';
import { readText, readValue } from './values.js';

/** One transformer for values of one BSON type at one path, as the rules say. */
export interface TargetRule {
  readonly rule: string;
  /** For reasons. */
  readonly path: string;
  /** Type byte of the values, or `UUID`; `KEY_NAME` for keys. */
  readonly type: number;
  /** Type byte of what comes out: `type`, or a string where a derived field is text made of another type. */
  readonly output: number;
  readonly transform: ColumnTransform;
  /** What `transform` was made of. */
  readonly spec: TransformerSpec;
  readonly columnType: ColumnType;
  readonly domain: string;
  readonly mayEqualInput: boolean;
  /** It looks at no value, so that NaN and the like are nothing special to it. */
  readonly blind: boolean;
  readonly special: 'refuse' | 'keep';
}

/** Instead of a type byte: the name of a field. */
export const KEY_NAME = 0x21;

/** What stands for a value that nothing is read of. */
const UNREAD = '0';

/** The values that one batch has for a target. */
export class Target {
  readonly values: (string | null)[] = [];
  /** Their documents, as indices into the batch. */
  readonly documents: number[] = [];

  constructor(readonly rule: TargetRule) {}

  /**
   * Takes a value in.
   *
   * @returns Its place among the target's values, or -1 when it is nothing that a transformer could read.
   */
  add(document: number, bytes: Buffer, start: number, end: number): number {
    const text =
      this.rule.type === KEY_NAME
        ? readText(bytes, start, end)
        : (readValue(bytes, this.rule.type, start, end) ?? (this.rule.blind ? UNREAD : undefined));
    if (text === undefined) return -1;
    this.documents.push(document);
    return this.values.push(text) - 1;
  }

  /** Takes in that there is nothing. */
  addNull(document: number): number {
    this.documents.push(document);
    return this.values.push(null) - 1;
  }

  /** Forgets the values of a document that is refused after all. */
  forget(document: number): void {
    while (this.documents.at(-1) === document) {
      this.documents.pop();
      this.values.pop();
    }
  }

  forgetLast(): void {
    this.documents.pop();
    this.values.pop();
  }

  /** Runs the transformer over the whole batch. */
  run(fail: (document: number, reason: string) => void, source: (name: string) => Column): Column {
    const { documents } = this;
    const chunk: ChunkContext = {
      size: documents.length,
      fail: (row, reason) => fail(documents[row]!, reason),
      source: (name) => {
        const values = source(name);
        return documents.map((document) => values[document]!);
      },
    };
    return this.rule.transform(this.values, chunk);
  }

  /** Whether the outputs are texts of any length. */
  get isText(): boolean {
    const { output } = this.rule;
    return output === BSON.string || output === BSON.symbol || output === KEY_NAME;
  }
}
