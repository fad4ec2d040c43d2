import { down, up } from './rig.js';

/** A rig of this checkout's own, gone again afterwards. */
export default async function setup(): Promise<() => void> {
  // One that an earlier run was killed over.
  down();
  await up();
  return down;
}
