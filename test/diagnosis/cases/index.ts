import type { CauseCase } from './case.js';
import { CONNECTIONS } from './connections.js';
import { REPLIES } from './replies.js';
import { RETRIES } from './retries.js';
import { ROUTING } from './routing.js';

export const CASES: readonly CauseCase[] = [...ROUTING, ...CONNECTIONS, ...REPLIES, ...RETRIES];
