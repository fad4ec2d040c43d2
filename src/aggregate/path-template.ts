import { boundedCache } from '../record/bounded-cache.js';

const NUMBER = /^\d+$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HEX = /^(?=.*\d)[0-9a-f]{8,}$/i;
/** A long token that mixes letters and digits: an id of some other kind. */
const TOKEN = /^(?=[A-Za-z_-]*\d)(?=\d*[A-Za-z_-])[A-Za-z0-9_-]{16,}$/;
const LONG = 512;

/** A path with what varies from request to request replaced: `/checkout/6392/status?x=1` → `/checkout/{n}/status`. */
export const pathTemplate = boundedCache((path) => {
  const query = path.indexOf('?');
  const bare = (query < 0 ? path : path.slice(0, query)).slice(0, LONG);
  return bare
    .split('/')
    .map((segment) => {
      if (segment === '') return segment;
      if (NUMBER.test(segment)) return '{n}';
      if (UUID.test(segment)) return '{uuid}';
      if (HEX.test(segment) || TOKEN.test(segment)) return '{id}';
      return segment;
    })
    .join('/');
});
