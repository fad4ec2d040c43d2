import { plural, thousands } from '../../diagnosis/words.js';
import { widthOf } from '../cells.js';
import { span, type Line } from '../frame.js';
import { expected, lost, type Live, type Streaming } from '../live.js';
import { paneOf, type Source, type State } from '../state.js';
import { clockSeconds } from '../words.js';
import { commandLines, labelled } from './content.js';

/** A line across, with a word near its end where there is one to say. */
export function rule(columns: number, word = ''): Line {
  if (word === '') return [span(` ${'─'.repeat(Math.max(0, columns - 2))}`, 'rule')];
  const label = span(` ${word} `, 'warn');
  const width = Math.max(0, columns - 4 - widthOf(label.text));
  return [span(` ${'─'.repeat(width)}`, 'rule'), label, span('──', 'rule')];
}

/** The states in which there is no table to show: each says what is, and what to do next. `null`: there is one. */
export function stateLines(state: State, height: number): Line[] | null {
  const { live } = state.source;
  if (live?.phase === 'connecting') return connecting(state, live.steps, height);
  if (live?.phase === 'logging-off') return loggingOff(state, live);
  if (live?.phase === 'no-rights') return noRights(state, live);
  const { snapshot, reading } = state;
  if (!snapshot) return live ? catchingUp(state, live, height) : loading(state, height);
  if (reading.done && !live && snapshot.records === 0) return nothing(state);
  return null;
}

/** Nothing to look through yet: home shows how far it is, or what is in the way. */
export const isWaiting = (state: State): boolean =>
  paneOf(state).kind === 'home' && stateLines(state, state.rows) !== null;

/** The commands that a person may run about it. */
export const remedies = ({ source: { live } }: State): readonly string[] =>
  live?.phase === 'logging-off' || live?.phase === 'no-rights' ? live.fix : [];

/** Streams that broke, above the table that goes on with the rest. */
export function lostLines(state: State): Line[] {
  const { live } = state.source;
  if (live?.phase !== 'streaming') return [];
  const [first, ...others] = lost(live);
  if (!first) return [];
  const more = others.length > 0 ? `, and ${others.length} more: [p]` : '';
  const why = first.reason === '' ? '' : `: ${first.reason}`;
  return [
    [
      span(' '),
      span(` ${others.length + 1} of ${plural(expected(live).length, 'stream')} lost `, 'badge'),
      span(` ${first.pod} since ${clockSeconds(first.stateSince)}${why}${more}`, 'warn'),
    ],
  ];
}

/** Some lines in the upper third of the space. */
function centred(lines: readonly Line[], height: number): Line[] {
  const above = Math.max(0, Math.floor((height - lines.length) / 3));
  return [...Array.from({ length: above }, (): Line => []), ...lines];
}

function loading({ reading, columns, source }: State, height: number): Line[] {
  const width = Math.max(10, Math.min(50, columns - 20));
  const share = reading.share ?? 0;
  const filled = Math.round(share * width);
  const bar: Line =
    reading.share === null
      ? [span(`   ${plural(reading.lines, 'line')} so far`)]
      : [
          span('   '),
          span('█'.repeat(filled), 'accent'),
          span('░'.repeat(width - filled), 'dim'),
          span(` ${Math.floor(100 * share)}%`.padStart(5)),
        ];
  return centred(
    [
      [span('   reading ', 'strong'), span(source.title)],
      [],
      bar,
      [
        span(
          `   ${plural(reading.lines, 'line')}, ${reading.inputsDone} of ${plural(reading.inputs, 'input')}`,
          'dim',
        ),
      ],
      [],
      [span('   keys work meanwhile; [q] leaves', 'dim')],
    ],
    height,
  );
}

/** Streams are open, and nothing was counted yet. */
function catchingUp({ source, reading }: State, live: Streaming, height: number): Line[] {
  const all = expected(live);
  const there = all.filter(({ state }) => state === 'following').length;
  return centred(
    [
      [span('   reading what was logged before ', 'strong'), span(targetWords(source))],
      [],
      [
        span(
          `   ${there} of ${plural(all.length, 'stream')} caught up, ${plural(reading.lines, 'line')} so far`,
        ),
      ],
    ],
    height,
  );
}

const targetWords = ({ cluster, title }: Source): string =>
  cluster ? `${cluster.context} ${cluster.namespace}/${title}` : title;

function connecting(
  { source }: State,
  steps: readonly { readonly text: string; readonly done: boolean }[],
  height: number,
): Line[] {
  const at = steps.findIndex(({ done }) => !done);
  return centred(
    [
      [span('   connecting ', 'strong'), span(targetWords(source))],
      [],
      ...steps.map(({ text, done }, i): Line => [
        span(done ? '   done  ' : i === at ? '   …     ' : '         ', done ? 'good' : 'accent'),
        span(text, done || i === at ? 'plain' : 'dim'),
      ]),
    ],
    height,
  );
}

function loggingOff({ columns }: State, live: Extract<Live, { phase: 'logging-off' }>): Line[] {
  return [
    [],
    [span(' '), span('access logging is off', 'bad'), span(': the proxies run, but write no access log')],
    [],
    ...live.found.flatMap((text, i) => labelled(i === 0 ? 'found' : '', text, columns)),
    [],
    [span(' A person may turn it on; meshtail changes nothing:', 'plain')],
    ...live.fix.flatMap((command) => commandLines('', command, columns, 4)),
    [],
    [span(' The screen fills by itself once lines arrive.', 'dim')],
  ];
}

function noRights({ columns }: State, live: Extract<Live, { phase: 'no-rights' }>): Line[] {
  return [
    [],
    [span(' '), span('no rights', 'bad'), span(': the logs are there, and may not be read')],
    [],
    ...labelled('said', live.said, columns),
    ...live.fix.flatMap((line, i) => commandLines(i === 0 ? 'needs' : '', line, columns, 4)),
    [],
    ...labelled(
      'or',
      'let somebody who may save the logs, and look at the files: kubectl logs POD -c istio-proxy > POD.log; meshtail POD.log',
      columns,
    ),
  ];
}

function nothing({ snapshot, columns, reading }: State): Line[] {
  const { lines, malformed, foreign } = snapshot!;
  return [
    [],
    [span(' '), span('no access-log line in the input', 'warn')],
    [],
    ...labelled(
      'it holds',
      lines === 0
        ? 'nothing: it is empty'
        : `${plural(lines, 'line')}: ${thousands(malformed)} damaged access lines and ${thousands(foreign)} other lines`,
      columns,
    ),
    ...labelled(
      'perhaps',
      'access logging is off: Istio writes no access log unless meshConfig.accessLogFile or a Telemetry resource asks for it',
      columns,
    ),
    ...commandLines('look', 'kubectl get telemetry -A -o yaml', columns, 1),
    ...labelled('or', 'it is the log of another container: save the one of istio-proxy', columns),
    ...commandLines('', 'kubectl logs POD -c istio-proxy > POD.log', columns, 1),
    ...reading.failed.flatMap(({ reason }) => labelled('lost', reason, columns, 'bad')),
  ];
}
