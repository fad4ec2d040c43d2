/** In a directory or archive: logs, and what the kubelet's rotation makes of them (`0.log.20260101-120000`, `.gz`). */
const LOG_IN_FOLDER = /\.log(?:\.(?:gz|zst)|\.\d{8}-\d{6}(?:\.gz)?)?$/;

export function isLogInFolder(name: string): boolean {
  return LOG_IN_FOLDER.test(name);
}

/** A rotated log's name: the folder and stem of its set, and what tells its place in time: a time, or logrotate's count. */
const ROTATED = /^(.*?)(?:\.(?:(\d{8}-\d{6})|(\d{1,4})))?(?:\.(?:gz|zst))?$/s;
/** The kubelet counts a container's restarts: `0.log`, `1.log`. */
const RESTART = /^(.*\/|)(\d{1,6})\.log$/s;

interface Place {
  readonly set: string;
  readonly restart: number;
  /** Greater is later; the live file is the latest. */
  readonly time: string;
}

function placeOf(path: string): Place {
  const [, live = path, stamp, count] = ROTATED.exec(path) ?? [];
  const restart = RESTART.exec(live);
  const set = restart ? `${restart[1]}N.log` : live;
  // logrotate's greatest count is the oldest.
  const counted = count === undefined ? '~' : `0${String(9999 - Number(count)).padStart(4, '0')}`;
  return { set, restart: restart ? Number(restart[2]) : 0, time: stamp ?? counted };
}

/** Paths as they were, but those of one rotated set among each other in the order in which they were written. */
export function inTimeOrder(paths: readonly string[]): readonly string[] {
  const sets = new Map<string, string[]>();
  for (const path of paths) {
    const { set } = placeOf(path);
    const members = sets.get(set);
    if (members) members.push(path);
    else sets.set(set, [path]);
  }
  for (const members of sets.values()) members.sort(byTime);
  const taken = new Map<string, number>();
  return paths.map((path) => {
    const { set } = placeOf(path);
    const next = taken.get(set) ?? 0;
    taken.set(set, next + 1);
    return sets.get(set)![next]!;
  });
}

function byTime(left: string, right: string): number {
  const a = placeOf(left);
  const b = placeOf(right);
  if (a.restart !== b.restart) return a.restart - b.restart;
  return a.time < b.time ? -1 : a.time > b.time ? 1 : 0;
}
