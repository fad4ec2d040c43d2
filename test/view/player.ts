import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { observe } from '../../src/pipeline.js';
import { Engine } from '../../src/replay/engine.js';
import { fileSource } from '../../src/source/file.js';
import type { Effect, Message } from '../../src/view/message.js';
import { frameText } from '../../src/view/frame.js';
import type { Reading } from '../../src/view/snapshot.js';
import { initialState, type State } from '../../src/view/state.js';
import { update } from '../../src/view/update.js';
import { view } from '../../src/view/view.js';

/** A screen without a terminal: messages in, text out; questions are answered by a real engine over a real recording. */
export class Player {
  readonly done: Effect[] = [];

  constructor(
    public state: State,
    readonly engine: Engine | null,
  ) {}

  async send(...messages: Message[]): Promise<this> {
    for (const message of messages) {
      const { state, effects } = update(this.state, message);
      this.state = state;
      for (const effect of effects) {
        if (effect.kind === 'ask') {
          if (this.engine?.ready) {
            await this.send({ kind: 'snapshot', snapshot: await this.engine.answer(effect.spec) });
          }
        } else if (effect.kind === 'find') {
          const at = this.engine?.failureBeside(effect.from, effect.direction) ?? null;
          await this.send({ kind: 'found', at });
        } else this.done.push(effect);
      }
    }
    return this;
  }

  /** `down enter /` are keys, `"text"` is typed. */
  async keys(text: string): Promise<this> {
    for (const part of text.match(/"[^"]*"|\S+/g) ?? []) {
      if (!part.startsWith('"')) await this.send({ kind: 'key', key: part });
      else
        for (const character of part.slice(1, -1))
          await this.send({ kind: 'key', key: character === ' ' ? 'space' : character });
    }
    return this;
  }

  async size(columns: number, rows: number): Promise<this> {
    return this.send({ kind: 'size', columns, rows });
  }

  get text(): string {
    return `${frameText(view(this.state))}\n`;
  }
}

const engines = new Map<string, Promise<{ engine: Engine; reading: Reading }>>();

async function engineOf(folder: string): Promise<{ engine: Engine; reading: Reading }> {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.gz'))
    .toSorted()
    .map((name) => join(folder, name));
  const { observation } = await observe(files.map(fileSource), 1 << 20);
  const engine = new Engine(undefined, 1_000);
  const snapshot = observation.snapshot();
  const reading: Reading = {
    done: true,
    share: 1,
    lines: snapshot.coverage.lines,
    inputs: files.length,
    inputsDone: files.length,
    failed: [],
  };
  engine.observe(snapshot, reading);
  return { engine, reading };
}

export const blank = (columns = 80, rows = 24, set: Partial<State> = {}): State => ({
  ...initialState({
    columns,
    rows,
    ascii: false,
    canCopy: true,
    source: { title: 'somewhere', live: null, argv: ['somewhere'] },
  }),
  ...set,
});

/** A bundled recording, read to its end. */
export async function play(incident: string, columns = 80, rows = 24): Promise<Player> {
  const folder = `samples/incidents/${incident}`;
  const known = engines.get(folder) ?? engineOf(folder);
  engines.set(folder, known);
  const { engine, reading } = await known;
  const source = { title: incident, live: null, argv: [folder] };
  const player = new Player(blank(columns, rows, { source, reading }), engine);
  return player.size(columns, rows);
}
