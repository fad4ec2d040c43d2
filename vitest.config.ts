import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // These need a cluster: npm run test:cluster.
    exclude: [...configDefaults.exclude, 'test/rig/**'],
    testTimeout: 30_000,
    // By default one core is left for watching, which on two cores means one file after the other.
    maxWorkers: '100%',
  },
});
