import { defineConfig } from 'vitest/config';

/** The tests that need a real API server: `npm run test:cluster`. They share one rig, and so run one after the other. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['test/rig/**/*.test.ts'],
    globalSetup: 'test/rig/setup.ts',
    fileParallelism: false,
    testTimeout: 120_000,
  },
});
