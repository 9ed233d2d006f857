import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { type Document, Int32, MongoClient, ObjectId } from 'mongodb';
import { verdictText } from '../../cli/print/run.js';
import { paint, say } from '../../cli/terminal.js';
import type { MongoServer } from '../../embedded/mongo.js';
import { followSync, startSync } from '../../workers/runs.js';

/* The MongoDB part of the demo: the shop as documents that reference each other. */

const JOB = fileURLToPath(new URL('documents.yaml', import.meta.url));
const CUSTOMERS = 2_000;
const ORDERS = 6_000;
const PRODUCTS = 40;

/** Fills a database, copies it by a run, and shows a document before and after. True when every check passed. */
export async function documentsPart(server: MongoServer, client: Client): Promise<boolean> {
  const mongo = new MongoClient(server.url());
  try {
    await fill(mongo);
    process.env.SHOP_DOCUMENTS_URL = server.url('shop');
    process.env.SHOP_DOCUMENTS_COPY_URL = server.url('shop_copy');
    const file = { name: 'documents.yaml', text: await readFile(JOB, 'utf8') };
    const outcome = await followSync(await startSync(client, 'shop-documents', { file }), {
      onProgress: () => undefined,
      onTrouble: (trouble) => say(`trying again: ${trouble}`),
    });
    if (!outcome?.ok) throw outcome?.error;
    say(verdictText(outcome.result.verdict));
    say(`\n${paint.bold('A customer, and one of the copy with the same favourites')}\n${await shown(mongo)}`);
    return outcome.result.verdict.ok;
  } finally {
    await mongo.close();
  }
}

async function fill(mongo: MongoClient): Promise<void> {
  const shop = mongo.db('shop');
  const products = Array.from({ length: PRODUCTS }, (_, at) => ({
    _id: productId(at),
    name: `Product ${at}`,
    price: 5 + at,
  }));
  await shop.collection<Document>('products').insertMany(products);
  const customers = Array.from({ length: CUSTOMERS }, (_, at) => customer(at));
  await shop.collection<Document>('customers').insertMany(customers);
  const orders = Array.from({ length: ORDERS }, (_, at) => ({
    customer: new Int32(1 + ((at * 7) % CUSTOMERS)),
    placed: new Date(1_700_000_000_000 + at * 60_000),
    lines: [{ sku: `SKU-${at % PRODUCTS}`, count: new Int32(1 + (at % 3)) }],
  }));
  await shop.collection<Document>('orders').insertMany(orders);
  await shop.collection('customers').createIndex({ email: 1 }, { unique: true });
}

function customer(at: number): Document {
  return {
    _id: new Int32(at + 1),
    name: `Ann Example${at}`,
    email: `ann${at}@shop.test`,
    address: { street: `Main St ${at % 300}`, city: 'Hamburg' },
    favourites: [productId(at % PRODUCTS), productId((at + 7) % PRODUCTS)],
    devices: { [`phone${at}`]: { ip: `10.0.${at >> 8}.${at & 255}` } },
    ...(at % 5 === 0 && { notes: 'rang twice' }),
  };
}

function productId(at: number): ObjectId {
  return new ObjectId(at.toString(16).padStart(24, '0'));
}

/** Keys are permuted, so this is one like it: with the same favourites, which are kept. */
async function shown(mongo: MongoClient): Promise<string> {
  const before = await mongo
    .db('shop')
    .collection('customers')
    .findOne({}, { sort: { _id: 1 } });
  const after = await mongo
    .db('shop_copy')
    .collection('customers')
    .findOne({ favourites: before?.favourites });
  return [before, after].map((document) => `  ${JSON.stringify(document)}`).join('\n');
}
