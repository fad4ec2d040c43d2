import type { Scene } from './scene.js';

/** Remembers what a function said of a scene, for findings that several causes share. */
export function perScene<T>(compute: (scene: Scene) => T): (scene: Scene) => T {
  const known = new WeakMap<Scene, { readonly value: T }>();
  return (scene) => {
    let found = known.get(scene);
    if (!found) {
      found = { value: compute(scene) };
      known.set(scene, found);
    }
    return found.value;
  };
}
