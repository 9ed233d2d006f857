/** The two sides of `a.b.c -> d.e.f`, or undefined when it is not of that form. */
export function splitReference(value: string): { from: string[]; to: string[] } | undefined {
  const sides = value.split('->').map((side) => side.trim());
  if (sides.length !== 2) return undefined;
  const [from, to] = sides.map(sideColumns);
  return from && to ? { from, to } : undefined;
}

function sideColumns(side: string): string[] | undefined {
  const composite = /^(.+\..+)\.\(([^()]+)\)$/.exec(side);
  if (!composite) return /^[^().]+(\.[^().]+){2,}$/.test(side) ? [side] : undefined;
  const columns = (composite[2] ?? '').split(',').map((column) => column.trim());
  return columns.every((column) => column !== '')
    ? columns.map((column) => `${composite[1]}.${column}`)
    : undefined;
}

/** What is wrong with the text of a virtual foreign key, or undefined. */
export function virtualReferenceMistake(value: string): string | undefined {
  const reference = splitReference(value);
  if (!reference) {
    return `"${value}" is no reference: write "public.a.b_id -> public.b.id" or "public.a.(x, y) -> public.b.(x, y)"`;
  }
  if (reference.from.length !== reference.to.length) {
    return `the reference pairs ${reference.from.length} column(s) with ${reference.to.length}: both sides need the same number`;
  }
  return undefined;
}
