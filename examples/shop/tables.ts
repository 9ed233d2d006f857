import type { Value } from './rows.js';
import * as row from './rows.js';
import { CATEGORIES, COUNTRIES } from './words.js';

/** A table of the shop, its columns in the order of the values, and its rows. */
export interface ShopTable {
  readonly name: string;
  readonly columns: string;
  rows(): Iterable<readonly Value[]>;
}

/** All tables, parents first where that is possible. */
export const TABLES: readonly ShopTable[] = [
  { name: 'country', columns: 'code, name', rows: () => COUNTRIES.map(({ code, name }) => [code, name]) },
  {
    name: 'address',
    columns: 'id, street, postal_code, city, country_code, position',
    rows: () => row.numbered(2, row.COUNT.addresses, row.address),
  },
  {
    name: 'store',
    columns: 'id, name, manager_id, address_id',
    rows: () => row.numbered(3, row.COUNT.stores, (id) => [id, `Shop ${id}`, id, id * 11]),
  },
  {
    name: 'employee',
    columns: 'id, first_name, last_name, email, phone, born, salary, iban, store_id, reports_to',
    rows: () => row.numbered(4, row.COUNT.employees, row.employee),
  },
  {
    name: 'customer',
    columns:
      'id, email, first_name, last_name, phone, born, iban, signup_ip, address_id, referred_by, preferences, interests, notes, avatar, created_at, updated_at',
    rows: () => row.numbered(5, row.COUNT.customers, row.customer),
  },
  {
    name: 'newsletter',
    columns: 'email, confirmed, subscribed_at',
    rows: () => row.numbered(6, 6_000, row.subscription),
  },
  {
    name: 'category',
    columns: 'id, parent_id, name',
    rows: () =>
      row.numbered(7, row.COUNT.categories, (id, random) => [
        id,
        id > 10 ? random.between(1, 10) : null,
        `${random.pick(CATEGORIES)} ${id}`,
      ]),
  },
  {
    name: 'product',
    columns: 'id, sku, name, category_id, price, attributes, reviews',
    rows: () =>
      row.numbered(8, row.COUNT.products, (id, random) => [...row.product(id, random), row.reviewsOf(id)]),
  },
  {
    name: 'supplier',
    columns: 'id, company, contact, email, website',
    rows: () => row.numbered(9, row.COUNT.suppliers, row.supplier),
  },
  {
    name: 'product_supplier',
    columns: 'product_id, supplier_id, cost',
    rows: () =>
      row.numbered(10, row.COUNT.products * 2, (id, random) => [
        Math.ceil(id / 2),
        (id % 75) + (id % 2) * 75 + 1,
        random.between(1, 300),
      ]),
  },
  {
    name: '"order"',
    columns: 'id, number, customer_id, store_id, ship_to, status, ip, "Remarks", placed_at',
    rows: () => row.numbered(11, row.COUNT.orders, row.order),
  },
  { name: 'order_line', columns: 'order_id, line, product_id, quantity, unit_price', rows: row.orderLines },
  {
    name: 'shipment',
    columns: 'id, order_id, line, carrier, tracking, recipient, shipped_at',
    rows: () => row.numbered(13, 13_000, row.shipment),
  },
  {
    name: 'payment',
    columns: 'id, order_id, paid_at, amount, card, holder, iban',
    rows: () => row.numbered(14, row.COUNT.payments, row.payment),
  },
  {
    name: 'review',
    columns: 'id, product_id, customer_id, rating, body, written_at',
    rows: () => row.numbered(15, row.COUNT.reviews, row.review),
  },
  {
    name: 'ticket',
    columns: 'id, customer_id, assignee, subject, messages',
    rows: () => row.numbered(16, row.COUNT.tickets, row.ticket),
  },
  {
    name: 'event',
    columns: 'id, customer_id, happened_at, ip',
    rows: () =>
      row.numbered(17, row.COUNT.events, (id, random) => [
        id,
        row.customerOf(random),
        random.time(2024, 2026),
        row.ip(random),
      ]),
  },
  {
    name: 'login',
    columns: 'id, customer_id, happened_at, ip, username, succeeded',
    rows: () => row.numbered(18, row.COUNT.logins, row.login),
  },
];
