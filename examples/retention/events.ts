import { addDays, type Day, type Keyring, Sealer, sealJson, sealMatchesAll } from '../../retention/index.js';

/** An event of a log as it is stored, sealed. */
export interface EventRow {
  readonly at: string;
  readonly ip: string;
  readonly message: string;
  readonly device: string;
}

const CONTEXT = 'events';
const AGENTS = ['phone', 'tablet', 'desk', 'kiosk'];

/** Events of one day, made from its number alone; addresses and device ids are sealed before anything stores them. */
export function sealedEvents(keyring: Keyring, day: Day, count: number): EventRow[] {
  const sealer = new Sealer({ keyring, policy: 'ip', context: CONTEXT });
  const seed = Number(day.slice(8)) * 7 + Number(day.slice(5, 7)) * 31;
  const numbers = Array.from({ length: count }, (_, i) => i * 37 + seed);
  const ips = numbers.map((n) => `192.0.2.${n % 250}`);
  const messages = numbers.map((n, i) => `GET /item/${n % 900} from ${ips[i]} via 198.51.100.${n % 90}`);
  const devices = numbers.map((n) => JSON.stringify({ id: `d-${n % 500}`, kind: AGENTS[n % AGENTS.length] }));
  const sealedIps = sealer.sealAll(ips, { day });
  const sealedMessages = sealMatchesAll(sealer, messages, 'ipv4', { day }).texts;
  const sealedDevices = sealJson(sealer, devices, [{ path: '$.id' }], { day });
  return numbers.map((n, i) => ({
    at: `${day}T${String(n % 24).padStart(2, '0')}:00:00Z`,
    ip: sealedIps[i]!,
    message: sealedMessages[i]!,
    device: sealedDevices[i]!,
  }));
}

/** So many days that end with one. */
export function daysUntil(last: Day, count: number): Day[] {
  return Array.from({ length: count }, (_, i) => addDays(last, i + 1 - count));
}
