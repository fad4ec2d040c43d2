import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTimeText, toUtc } from '../../src/record/time.js';

describe('parseTime', () => {
  it.each([
    ['milliseconds', '2026-11-23T08:14:39.347Z', Date.UTC(2026, 10, 23, 8, 14, 39, 347)],
    ['no fraction', '2026-11-23T08:14:39Z', Date.UTC(2026, 10, 23, 8, 14, 39)],
    ['microseconds', '2026-11-23T08:14:39.347250Z', Date.UTC(2026, 10, 23, 8, 14, 39, 347) + 0.25],
    ['an offset', '2026-11-23T10:14:39.000+02:00', Date.UTC(2026, 10, 23, 8, 14, 39)],
    ['an offset without colon', '2026-11-23T10:14:39.000+0200', Date.UTC(2026, 10, 23, 8, 14, 39)],
    ['an offset over midnight', '2026-11-22T23:30:00-0930', Date.UTC(2026, 10, 23, 9, 0, 0)],
    ['a leap day', '2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['before the epoch', '1969-12-31T23:59:59.500Z', -500],
    ['a leap second', '2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
    ['a blank for T', '2026-11-23 08:14:39Z', Date.UTC(2026, 10, 23, 8, 14, 39)],
  ])('reads %s', (_, text, ms) => {
    expect(parseTimeText(text)).toBeCloseTo(ms, 4);
  });

  it.each([
    ['nothing', ''],
    ['a dash', '-'],
    ['no zone', '2026-11-23T08:14:39.347'],
    ['month 13', '2026-13-23T08:14:39Z'],
    ['hour 24', '2026-11-23T24:14:39Z'],
    ['text behind', '2026-11-23T08:14:39Zx'],
    ['a text behind an offset', '2026-11-23T08:14:39+02:00x'],
    ['a date alone', '2026-11-23'],
    ['letters', '2026-11-2xT08:14:39Z'],
    ['another script of digits', '２０２６-11-23T08:14:39Z'],
  ])('refuses %s', (_, text) => {
    expect(parseTimeText(text)).toBeNaN();
    expect(toUtc(text)).toBe(text);
  });

  it('agrees with Date on every time that both can write', () => {
    const range = {
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T00:00:00Z'),
      noInvalidDate: true,
    };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        expect(parseTimeText(date.toISOString())).toBeCloseTo(date.getTime(), 3);
      }),
    );
  });
});

describe('toUtc', () => {
  it.each([
    ['2026-11-23T08:14:39.347Z', '2026-11-23T08:14:39.347Z'],
    ['2026-11-23T10:14:39.123456789+02:00', '2026-11-23T08:14:39.123456789Z'],
    ['2026-11-23T10:14:39+0200', '2026-11-23T08:14:39Z'],
  ])('%s keeps its digits: %s', (text, utc) => {
    expect(toUtc(text)).toBe(utc);
  });
});
