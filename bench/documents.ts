import { BSON, type Document } from 'mongodb';
import { compileColumn } from '../anonymize/compile.js';
import { jobKeys } from '../anonymize/keys.js';
import type { ColumnType } from '../anonymize/transformer.js';
import { columnTypeOf } from '../mongo/documents/columnTypes.js';
import { compileDocuments } from '../mongo/documents/compile.js';
import { parseFields } from '../mongo/documents/rules.js';
import type { CollectionRules, DocumentTransform } from '../mongo/documents/types.js';

/** As in a run: a cursor's replies hold so many documents, and a chunk is what makes 4 MB of them. */
const REPLY = 2_000;
const CHUNK = 4_000;

interface Way {
  readonly name: string;
  run(batch: readonly Uint8Array[]): void;
}

/** Documents of about 1 KB: four of their fields change, the others are kept. */
export function sampleDocument(i: number): Uint8Array {
  return BSON.serialize({
    _id: new BSON.ObjectId(i.toString(16).padStart(24, '0')),
    number: i,
    email: `ann.smith${i}@shop.test`,
    name: { first: `Anna${i % 977}`, last: `Schmidt${i % 1009}` },
    phone: `+49 151 ${String(i * 7919)
      .padStart(9, '0')
      .slice(-9)}`,
    address: { street: `Main St ${i % 300}`, city: 'Hamburg', zip: String(10_000 + (i % 80_000)) },
    created: new Date(1_600_000_000_000 + i * 1_000),
    visits: i % 50,
    balance: (i % 100_000) / 100,
    active: i % 3 === 0,
    tags: ['alpha', 'beta', 'gamma'],
    orders: Array.from({ length: 3 }, (_, n) => ({
      sku: `SKU-${(i * 31 + n) % 5_000}`,
      price: 9.5 + n,
      count: n + 1,
      at: new Date(1_610_000_000_000 + i),
    })),
    note: 'Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor invidunt ut. '.repeat(
      4,
    ),
  });
}

/** The rules of the benchmark: e-mail, last name, phone number and street. */
export function sampleRules(): CollectionRules {
  const parsed = parseFields({
    email: 'email',
    'name.last': 'lastName',
    phone: 'scramble',
    'address.street': 'street',
    '*': 'keep',
  });
  if ('errors' in parsed) throw new Error('the rules of the benchmark have mistakes');
  return { collection: 'shop.customers', ...parsed, unlisted: 'block' };
}

/** MB/s of one core, in turns: the raw editor, a plain decoding and encoding, a copy of the bytes. No server. */
export function benchDocuments(rounds: number): void {
  const documents = Array.from({ length: 20_000 }, (_, i) => sampleDocument(i));
  const bytes = documents.reduce((sum, { length }) => sum + length, 0);
  const views = slices(documents, REPLY).flatMap(viewsOfReply);
  const batches = slices(views, CHUNK);
  const transform = compileDocuments(sampleRules(), jobKeys(Buffer.alloc(32, 7)));
  const all = [...ways(transform), transformersAlone(batches)];
  const times = new Map<string, number[]>(all.map(({ name }) => [name, []]));
  console.log(
    `${documents.length.toLocaleString('en')} documents of ${Math.round(bytes / documents.length)} bytes`,
  );
  for (let round = -1; round < rounds; round++) {
    for (const way of all) {
      const start = performance.now();
      for (const batch of batches) way.run(batch);
      if (round >= 0) times.get(way.name)!.push((performance.now() - start) / 1_000);
    }
  }
  for (const [name, seconds] of times) {
    const sorted = seconds.sort((a, b) => a - b);
    const rate = (value: number) => `${Math.round(bytes / 1e6 / value)} MB/s`.padStart(10);
    console.log(`${name.padEnd(44)} ${rate(sorted[sorted.length >> 1]!)} median ${rate(sorted[0]!)} best`);
  }
}

function slices<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** Documents as views of the reply that they came in: an array in BSON. */
function viewsOfReply(documents: readonly Uint8Array[]): Buffer[] {
  const parts = documents.flatMap((document, i) => [Buffer.from(`\x03${i}\0`), document]);
  const reply = Buffer.concat(parts);
  let at = 0;
  return documents.map(({ length }, i) => {
    at += parts[2 * i]!.length + length;
    return reply.subarray(at - length, at);
  });
}

function ways(transform: DocumentTransform): Way[] {
  return [
    {
      name: 'raw editor, 4 fields',
      run: (batch) => {
        if (transform.apply(batch).refused.length > 0) throw new Error('a document was refused');
      },
    },
    {
      name: 'decoding and encoding alone, nothing changed',
      run: (batch) => {
        for (const document of batch) BSON.serialize(BSON.deserialize(document, { promoteValues: false }));
      },
    },
    {
      name: 'copy of the bytes',
      run: (batch) => {
        for (const document of batch) Buffer.from(document);
      },
    },
  ];
}

/** What of the editor's time its transformers take: the same values, in columns that are there already. */
function transformersAlone(batches: readonly (readonly Uint8Array[])[]): Way {
  const keys = jobKeys(Buffer.alloc(32, 7));
  const text: ColumnType = columnTypeOf('string');
  const fields = [
    ['email', (document: Document) => document.email],
    ['lastName', (document: Document) => document.name.last],
    ['scramble', (document: Document) => document.phone],
    ['street', (document: Document) => document.address.street],
  ] as const;
  const transforms = fields.map(([name]) => compileColumn({ name, options: {} }, text, keys.domain(name)));
  const columns = new Map(
    batches.map((batch) => {
      const documents = batch.map((document) => BSON.deserialize(document));
      return [batch, fields.map(([, read]) => documents.map((document): string => read(document)))];
    }),
  );
  const fail = () => {
    throw new Error('a value was refused');
  };
  return {
    name: 'of that, the transformers alone',
    run: (batch) => {
      for (const [field, values] of columns.get(batch)!.entries())
        transforms[field]!(values, { size: values.length, fail, source: fail });
    },
  };
}
