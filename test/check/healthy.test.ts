import { describe, expect, it } from 'vitest';
import { runChecks } from '../../src/check/run.js';
import { described, Mesh, worldOf } from './mesh.js';

describe('a healthy mesh of 50 services', () => {
  it('has no finding', async () => {
    const world = await worldOf(new Mesh().files('yaml'));
    expect(described.length).toBeGreaterThanOrEqual(50);
    const findings = runChecks(world);
    expect(
      findings.filter(({ status }) => status !== 'ok').map(({ id, object, read }) => ({ id, object, read })),
    ).toEqual([]);
  });
});
