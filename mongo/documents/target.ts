import type {
  ChunkContext,
  Column,
  ColumnTransform,
  ColumnType,
  TransformerSpec,
} from '../../anonymize/transformer.js';
import { BSON } from './bson.js';
import { Texts } from './texts.js';
import { readValue } from './values.js';

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
  /** Their documents, as indices into the batch. */
  readonly documents: number[] = [];
  private readonly texts: Texts | undefined;
  private readonly others: (string | null)[] = [];
  private decoded: Column | undefined;
  /** How many bytes stand around a text: its length, and its zero. */
  private readonly head: number;
  private readonly tail: number;

  constructor(readonly rule: TargetRule) {
    const name = rule.type === KEY_NAME;
    if (name || rule.type === BSON.string || rule.type === BSON.symbol) this.texts = new Texts();
    this.head = name ? 0 : 4;
    this.tail = name ? 0 : 1;
  }

  /** Once all documents were scanned. */
  get values(): Column {
    this.decoded ??= this.texts ? this.texts.decode() : this.others;
    return this.decoded;
  }

  /**
   * Takes a value in.
   *
   * @returns Its place among the target's values, or -1 when it is nothing that a transformer could read.
   */
  add(document: number, bytes: Buffer, start: number, end: number): number {
    const { texts } = this;
    if (texts) {
      const place = texts.add(bytes, start + this.head, end - this.tail);
      this.documents.push(document);
      return place;
    }
    const text = readValue(bytes, this.rule.type, start, end) ?? (this.rule.blind ? UNREAD : undefined);
    if (text === undefined) return -1;
    this.documents.push(document);
    return this.others.push(text) - 1;
  }

  /** Takes in that there is nothing. */
  addNull(document: number): number {
    if (this.texts) this.texts.addNull();
    else this.others.push(null);
    return this.documents.push(document) - 1;
  }

  /** Forgets the values of a document that is refused after all. */
  forget(document: number): void {
    while (this.documents.at(-1) === document) this.forgetLast();
  }

  forgetLast(): void {
    this.documents.pop();
    if (this.texts) this.texts.removeLast();
    else this.others.pop();
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
