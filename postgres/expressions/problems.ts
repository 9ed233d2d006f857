export type ExpressionCode =
  /** No single expression: the text does not parse, or tries to be more than one. */
  | 'expression-syntax'
  | 'expression-unknown-column'
  /** Refused by the server for another reason: no such function, no boolean, … */
  | 'expression-refused'
  /** Its result may differ between two readings of one row. */
  | 'expression-unstable'
  /** It reads more than the row, or uses what cannot be judged. */
  | 'expression-unchecked';

export interface ExpressionProblem {
  readonly code: ExpressionCode;
  /** What is wrong and what to write instead. Quotes the job file only. */
  readonly message: string;
  /** Offset into the expression, if known. */
  readonly offset?: number;
}

export interface ExpressionCheck {
  readonly expression: string;
  /** Columns of the table that it reads, in table order; empty where it has problems. */
  readonly columns: readonly string[];
  readonly problems: readonly ExpressionProblem[];
}
