const ESC = 27;

/** A stretch without its escape sequences: colour (CSI) and links (OSC). Envoy lets no escape byte into a line. */
export function ansiFree(bytes: Buffer, start: number, end: number): Buffer {
  const kept = Buffer.alloc(end - start);
  let length = 0;
  for (let at = start; at < end; at++) {
    if (bytes[at] === ESC && at + 1 < end) {
      const stop = sequenceEnd(bytes, at + 1, end);
      if (stop > 0) {
        at = stop;
        continue;
      }
    }
    kept[length++] = bytes[at]!;
  }
  return kept.subarray(0, length);
}

/** The last byte of a sequence whose introducer stands at `at`; -1 where it is none. ECMA-48 section 5.4. */
function sequenceEnd(bytes: Buffer, at: number, end: number): number {
  const last = Math.min(end, at + MAX_SEQUENCE);
  if (bytes[at] === 91) {
    for (let i = at + 1; i < last; i++) {
      const byte = bytes[i]!;
      if (byte >= 0x40 && byte <= 0x7e) return i;
      if (byte < 0x20 || byte > 0x3f) return -1;
    }
    return -1;
  }
  if (bytes[at] === 93) {
    for (let i = at + 1; i < last; i++) {
      if (bytes[i] === 7) return i;
      if (bytes[i] === ESC && bytes[i + 1] === 92) return i + 1;
    }
  }
  return -1;
}

/** Longer ones are no colour, and are not searched further: a line of escape bytes must cost linear time. */
const MAX_SEQUENCE = 256;
