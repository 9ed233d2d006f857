import { cardNumber, type Person, person } from './people.js';
import { Random } from './random.js';
import { COLOURS, COMPANIES, COUNTRIES, INTERESTS, MATERIALS, OPINIONS, THINGS } from './words.js';

export type Value = string | number | boolean | null;

export const COUNT = {
  addresses: 14_000,
  stores: 25,
  employees: 300,
  customers: 15_000,
  categories: 40,
  products: 2_000,
  suppliers: 150,
  orders: 34_000,
  payments: 30_000,
  reviews: 9_000,
  tickets: 3_000,
  events: 3_000,
  logins: 8_000,
} as const;

/** Every customer is asked for in several tables. */
const customers: readonly Person[] = (() => {
  const random = new Random(1);
  return Array.from({ length: COUNT.customers }, (_, index) => person(random, index + 1));
})();

/** Gives the rows 1 … `count`, with numbers of the table's own. */
export function* numbered(
  seed: number,
  count: number,
  row: (id: number, random: Random) => readonly Value[],
) {
  const random = new Random(seed);
  for (let id = 1; id <= count; id += 1) yield row(id, random);
}

export function ip(random: Random): string {
  if (random.chance(0.2)) return `2001:db8:${random.hex(3)}:${random.hex(4)}::${random.between(1, 9)}`;
  return `${random.between(11, 126)}.${random.between(0, 255)}.${random.between(0, 255)}.${random.between(1, 254)}`;
}

function array(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

/** Most customers order once, a few order often. */
export function customerOf(random: Random): number {
  return 1 + Math.floor(random.next() ** 2 * COUNT.customers);
}

export function address(id: number, random: Random): readonly Value[] {
  const country = random.pick(COUNTRIES);
  const [city, postalCode] = random.pick(country.cities);
  const street = random.pick(country.streets).replace('1', String(random.between(1, 240)));
  const point = random.chance(0.7) ? `(${random.digits('5#.####')},${random.digits('1#.####')})` : null;
  return [id, street, random.chance(0.97) ? postalCode : null, city, country.code, point];
}

export function employee(id: number, random: Random): readonly Value[] {
  const { first, last, phone, born, iban } = person(random, id);
  const store = ((id - 1) % COUNT.stores) + 1;
  const boss = id === 1 ? null : id <= COUNT.stores ? 1 : store;
  const salary = `${random.between(24, 92)}${random.digits('##')}0.00`;
  return [id, first, last, `staff${id}@shop.example`, phone, born, salary, iban, store, boss];
}

export function customer(id: number, random: Random): readonly Value[] {
  const { first, last, email, phone, born, iban, country } = customers[id - 1] as Person;
  const [city] = random.pick(country.cities);
  const contact = random.pick(customers);
  const preferences = {
    language: country.language,
    theme: random.pick(['dark', 'light']),
    address: { street: random.pick(country.streets), city },
    ...(random.chance(0.3)
      ? { contacts: [{ name: `${contact.first} ${contact.last}`, phone: contact.phone }] }
      : {}),
    size: random.between(34, 48),
  };
  const notes = random.chance(0.2) ? `Called ${first} on ${phone}.\nPrefers mail to ${email} \\o/` : null;
  const created = random.time(2019, 2025);
  return [
    ...[id, email, first, last, random.chance(0.8) ? phone : null, random.chance(0.9) ? born : null],
    ...[iban, ip(random), random.chance(0.95) ? random.between(1, COUNT.addresses) : null],
    ...[id > 10 && random.chance(0.2) ? random.between(1, id - 1) : null, JSON.stringify(preferences)],
    ...[array([random.pick(INTERESTS), random.pick(INTERESTS)]), notes],
    ...[random.chance(0.1) ? `\\x89504e47${random.hex(120)}` : null, created, created],
  ];
}

/** Some subscribers are no customers, and some write their address in other letters. */
export function subscription(id: number, random: Random): readonly Value[] {
  const { email } = customers[id * 2] as Person;
  if (id % 5 === 0) return [`reader${id}@mail.example`, random.chance(0.8), random.time(2020, 2025)];
  return [id % 7 === 0 ? email.toUpperCase() : email, random.chance(0.8), random.time(2020, 2025)];
}

export function product(id: number, random: Random): readonly Value[] {
  const [colour, material] = [random.pick(COLOURS), random.pick(MATERIALS)];
  const attributes = {
    colour,
    material,
    sizes: [random.between(1, 9), random.between(10, 19)],
    eco: random.chance(0.5),
  };
  const name = `${colour} ${material} ${random.pick(THINGS)}`;
  const price = `${random.between(2, 400)}.${random.digits('##')}`;
  return [
    id,
    `SKU-${String(id).padStart(6, '0')}`,
    name,
    random.between(11, COUNT.categories),
    price,
    JSON.stringify(attributes),
  ];
}

export function supplier(id: number, random: Random): readonly Value[] {
  const { first, last } = person(random, id);
  const company = `${random.pick(COMPANIES)} & ${random.pick(COMPANIES)} ${random.pick(['GmbH', 'S.A.', 'Ltd', 'Sp. z o.o.'])}`;
  return [
    id,
    company,
    `${first} ${last}`,
    `sales${id}@supplier.example`,
    random.chance(0.8) ? `https://www.supplier${id}.example/shop?ref=${random.hex(6)}` : null,
  ];
}

export function order(id: number, random: Random): readonly Value[] {
  const of = customerOf(random);
  const { last, phone } = customers[of - 1] as Person;
  const status = random.chance(0.8)
    ? 'shipped'
    : random.pick(['new', 'paid', 'packed', 'returned', 'cancelled']);
  const remarks = random.chance(0.1) ? `Leave it with ${last}'s neighbour; ring ${phone}` : null;
  const shipTo = random.chance(0.9) ? random.between(1, COUNT.addresses) : null;
  return [
    id,
    500_000 + id,
    of,
    random.between(1, COUNT.stores),
    shipTo,
    status,
    ip(random),
    remarks,
    random.time(2023, 2026),
  ];
}

/** One to three lines an order; `lineCount` says the same to shipments. */
export function* orderLines() {
  const random = new Random(12);
  for (let id = 1; id <= COUNT.orders; id += 1) {
    for (let line = 1; line <= lineCount(id); line += 1) {
      yield [
        id,
        line,
        random.between(1, COUNT.products),
        random.between(1, 5),
        `${random.between(2, 400)}.${random.digits('##')}`,
      ];
    }
  }
}

function lineCount(order: number): number {
  return 1 + (order % 3);
}

export function shipment(id: number, random: Random): readonly Value[] {
  const of = 1 + Math.floor((id - 1) * 2.6);
  const { first, last } = random.pick(customers);
  const carrier = random.pick(['post', 'courier', 'pickup']);
  return [
    random.uuid(),
    of,
    random.between(1, lineCount(of)),
    carrier,
    `${random.digits('JD0#########')}${String(id).padStart(6, '0')}`,
    `${first} ${last}`,
    random.time(2023, 2026),
  ];
}

export function payment(id: number, random: Random): readonly Value[] {
  const { first, last, iban } = random.pick(customers);
  const byCard = iban === null || random.chance(0.6);
  const amount = `${random.between(2, 1_200)}.${random.digits('##')}`;
  return [
    id,
    random.between(1, COUNT.orders),
    random.time(2022, 2026),
    amount,
    byCard ? cardNumber(random) : null,
    `${first} ${last}`,
    byCard ? null : iban,
  ];
}

export function review(id: number, random: Random): readonly Value[] {
  const by = ((id * 7_919) % COUNT.customers) + 1;
  const { first, email } = customers[by - 1] as Person;
  const signature = random.chance(0.3) ? `\n— ${first}, ${email}` : '';
  return [
    id,
    (id % COUNT.products) + 1,
    by,
    random.between(1, 5),
    `${random.pick(OPINIONS)}${signature}`,
    random.time(2023, 2026),
  ];
}

export function ticket(_: number, random: Random): readonly Value[] {
  const by = customerOf(random);
  const { first, last, email, phone } = customers[by - 1] as Person;
  const messages = [
    { from: email, name: `${first} ${last}`, text: `Please call me back on ${phone}.`, internal: false },
    {
      from: 'help@shop.example',
      name: 'Help desk',
      text: `Dear ${first}, we will.`,
      internal: random.chance(0.2),
    },
  ];
  const subject = `${random.pick(['Return', 'Invoice', 'Late delivery', 'Question'])} ${random.digits('######')}`;
  return [
    random.uuid(),
    by,
    random.chance(0.8) ? random.between(1, COUNT.employees) : null,
    subject,
    JSON.stringify(messages),
  ];
}

export function reviewsOf(product: number): number {
  return (
    Math.floor(COUNT.reviews / COUNT.products) +
    (product - 1 <= COUNT.reviews % COUNT.products && product > 1 ? 1 : 0)
  );
}

export function login(id: number, random: Random): readonly Value[] {
  const by = customerOf(random);
  const { email } = customers[by - 1] as Person;
  const username = (email.split('@')[0] as string).toLowerCase();
  return [COUNT.events + id, by, random.time(2024, 2026), ip(random), username, random.chance(0.95)];
}
