import type { Cause } from '../cause.js';
import { appNotListening } from './app-not-listening.js';
import { keepaliveIdleRace } from './keepalive-idle-race.js';
import { vsRouteNoMatch } from './vs-route-no-match.js';

/** Every cause that is judged. */
export const CAUSES: readonly Cause[] = [appNotListening, keepaliveIdleRace, vsRouteNoMatch];
