import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // These need a cluster: npm run test:cluster.
    exclude: [...configDefaults.exclude, 'test/rig/**'],
    testTimeout: 30_000,
  },
});
