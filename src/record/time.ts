const ZERO = 48;
const MS_PER_DAY = 86_400_000;

/** Days from 1970-01-01 to a date of the proleptic Gregorian calendar. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function digits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = (bytes[i] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/**
 * Milliseconds since the Unix epoch, with their fraction, of an RFC 3339 time in `bytes[start, end)`;
 * `NaN` where the bytes are no such time. Accepts `Z`, `+hh:mm` and `+hhmm` (Envoy's `_LOCAL` operators print the last).
 */
export function parseTime(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 20) return NaN;
  const year = digits(bytes, start, 4);
  const month = digits(bytes, start + 5, 2);
  const day = digits(bytes, start + 8, 2);
  const hour = digits(bytes, start + 11, 2);
  const minute = digits(bytes, start + 14, 2);
  const second = digits(bytes, start + 17, 2);
  const separator = bytes[start + 10];
  if (
    year < 0 ||
    month < 1 ||
    month > 12 ||
    day < 1 ||
    day > 31 ||
    hour < 0 ||
    hour > 23 ||
    minute < 0 ||
    minute > 59 ||
    second < 0 ||
    second > 60 ||
    bytes[start + 4] !== 45 ||
    bytes[start + 7] !== 45 ||
    (separator !== 84 && separator !== 32 && separator !== 116) ||
    bytes[start + 13] !== 58 ||
    bytes[start + 16] !== 58
  ) {
    return NaN;
  }
  let at = start + 19;
  let fraction = 0;
  if (bytes[at] === 46) {
    let unit = 100;
    for (at++; at < end; at++) {
      const digit = (bytes[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) break;
      fraction += digit * unit;
      unit /= 10;
    }
  }
  let offsetMinutes = 0;
  const zone = bytes[at];
  if (zone === 90 || zone === 122) {
    if (at + 1 !== end) return NaN;
  } else if (zone === 43 || zone === 45) {
    const colon = bytes[at + 3] === 58 ? 1 : 0;
    const hours = digits(bytes, at + 1, 2);
    const minutes = digits(bytes, at + 3 + colon, 2);
    if (hours < 0 || minutes < 0 || at + 5 + colon !== end) return NaN;
    offsetMinutes = (hours * 60 + minutes) * (zone === 45 ? -1 : 1);
  } else {
    return NaN;
  }
  const seconds = hour * 3600 + (minute - offsetMinutes) * 60 + second;
  return daysFromCivil(year, month, day) * MS_PER_DAY + seconds * 1000 + fraction;
}

const scratch = Buffer.alloc(192);

/** The same for a string. */
export function parseTimeText(text: string): number {
  // A UTF-16 unit takes three bytes at the most.
  if (text.length * 3 <= scratch.length) return parseTime(scratch, 0, scratch.write(text));
  const bytes = Buffer.from(text);
  return parseTime(bytes, 0, bytes.length);
}

/** An RFC 3339 time in UTC, its fraction digits as they were; text that is no such time comes back unchanged. */
export function toUtc(text: string): string {
  if (text.endsWith('Z')) return text;
  const ms = parseTimeText(text);
  if (Number.isNaN(ms)) return text;
  const fraction = /\.\d+/.exec(text)?.[0] ?? '';
  return new Date(Math.floor(ms)).toISOString().slice(0, 19) + fraction + 'Z';
}
