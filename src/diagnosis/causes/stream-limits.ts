import type { Kind } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import { proxyName } from '../kubectl.js';
import { distinct } from '../stats.js';
import { wallOf } from '../walls.js';
import { listed, ofWords, plural, span } from '../words.js';
import { replyCause } from './reply-cause.js';

const details = (row: Kind): string => row.details ?? '';

const maxDuration: Cause = replyCause({
  id: 'max-stream-duration',
  reference: 'https://github.com/istio/istio/issues/55831',
  mechanism: 'A limit on the whole duration of a stream or connection ends it, active or not.',
  signs: [
    '504 or 200 UMSDR; 504 or 200 max_duration_timeout without a flag; DT on connections',
    'one exact duration',
  ],
  against: ['SI: it was idle'],
  matches: (row) =>
    row.has('UMSDR') ||
    details(row) === 'max_duration_timeout' ||
    row.has('DT') ||
    details(row) === 'duration_timeout',
  tell: (study) => {
    const wall = wallOf(study.rows);
    const cut = study.rows.filter((row) => row.code === 200).length;
    const longer = study.population.filter((row) => !row.failure && row.duration > wall.ms + 200).length;
    return {
      title: `Streams to ${study.place} are cut after ${span(wall.ms)}`,
      story: `a limit on the total duration ended them (${ofWords(wall.count, study.rows.length)} at ${span(wall.ms)})${cut > 0 ? `; ${cut} had status 200 already, so that only the body is cut` : ''}. Shorter ones are fine.`,
      evidence: [
        { text: `ended at ${span(wall.ms)}`, count: wall.count, of: study.rows.length },
        { text: 'streams that lived longer', count: longer, of: study.population.length },
      ],
      next: [
        {
          purpose: 'find the limit',
          command: `kubectl get envoyfilter,destinationrule,virtualservice -A -o yaml | grep -n -i -B12 'max.*duration'`,
        },
      ],
      fix: ['Raise the limit where streams are meant to be long.'],
    };
  },
});

const streamIdle: Cause = replyCause({
  id: 'stream-idle-timeout',
  reference: 'https://github.com/istio/istio/issues/7428',
  mechanism: 'No byte moved for the stream idle timeout of this proxy.',
  signs: ['408 or 504 SI stream_idle_timeout, 14 bytes; 101 SI on websockets'],
  against: ['a fixed total duration: a limit on the whole stream'],
  matches: (row) => row.has('SI') || details(row) === 'stream_idle_timeout',
  tell: (study) => {
    const wall = wallOf(study.rows);
    return {
      title: `Idle streams to ${study.place} are cut by the proxy${wall.count >= study.rows.length / 2 ? ` after ${span(wall.ms)}` : ''}`,
      story: `nothing moved for the idle timeout of ${listed(study.proxies, 2)}; ${study.sample.code === 408 ? 'the requests had not arrived completely' : study.sample.code === 101 ? 'these are websockets' : 'the server was silent'}.`,
      evidence: [
        study.fact('streams cut as idle', study.rows, study.during),
        { text: `that ended at about ${span(wall.ms)}`, count: wall.count, of: study.rows.length },
      ],
      next: [
        {
          purpose: 'find the timer',
          command: `istioctl proxy-config listener ${proxyName(null, study.proxies[0]!)} -o json | grep -n -i idle`,
        },
      ],
      fix: ['Send heartbeats more often than the timer, or raise it.'],
    };
  },
});

const slowClient: Cause = replyCause({
  id: 'slow-client-request-timeout',
  reference: 'https://github.com/envoyproxy/envoy/issues/13341',
  mechanism: 'The client did not deliver its headers or body in time.',
  signs: ['408 request_header_timeout (22 bytes) or request_overall_timeout (15 bytes), no flag'],
  against: ['SI: idle'],
  matches: (row) => /^request_(?:header|overall)_timeout$/.test(details(row)),
  keyOf: (row) => row.proxy,
  tell: (study) => {
    const clients = distinct(study.rows, (row) => row.peer);
    return {
      title: `${plural(clients.length, 'client')} deliver${clients.length === 1 ? 's' : ''} requests too slowly for the limit of ${span(wallOf(study.rows).ms)}`,
      story: `${listed(study.proxies, 2)} ended them with 408: the request was not complete in time.`,
      at: {
        services: study.sample.cluster ? [study.place] : [],
        clients: clients.slice(0, 3),
        pods: study.proxies,
      },
      next: [
        {
          purpose: 'find the timer',
          command: `istioctl proxy-config listener ${proxyName(null, study.proxies[0]!)} -o json | grep -n -i 'request.*timeout'`,
        },
      ],
      fix: ['Raise it for uploads that are meant to be slow; nothing for attackers.'],
    };
  },
});

export const STREAM_LIMIT_CAUSES: readonly Cause[] = [maxDuration, streamIdle, slowClient];
