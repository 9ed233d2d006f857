/** The text of mongo/pushdown/library.json, from the present sources. */
export function library(): string;
