import { describe, expect, it } from 'vitest';
import { pathTemplate } from '../../src/aggregate/path-template.js';

describe('pathTemplate', () => {
  it.each([
    ['/', '/'],
    ['/checkout/6392/status?x=1', '/checkout/{n}/status'],
    ['/v1/orders', '/v1/orders'],
    ['/u/0d8b2c1e-7a54-4f3e-9b1c-2d3e4f5a6b7c/x', '/u/{uuid}/x'],
    ['/o/507f1f77bcf86cd799439011', '/o/{id}'],
    ['/o/deadbeef', '/o/deadbeef'],
    ['/session/eyJhbGciOiJIUzI1NiJ9', '/session/{id}'],
    ['/a/very-long-name-without-digits', '/a/very-long-name-without-digits'],
    ['//a//7/', '//a//{n}/'],
    ['?only=query', ''],
    ['*', '*'],
  ])('%s → %s', (path, template) => {
    expect(pathTemplate(path)).toBe(template);
  });

  it('is done with a hostile path in time linear in it', () => {
    const started = performance.now();
    pathTemplate(`/${'a-'.repeat(100_000)}!`);
    pathTemplate('/'.repeat(200_000));
    expect(performance.now() - started).toBeLessThan(500);
    expect(pathTemplate(`/${'x'.repeat(100_000)}`).length).toBeLessThan(1000);
  });
});
