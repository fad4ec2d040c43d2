/*
 * Log text is written by strangers. Whatever goes to a terminal passes here: escape sequences, control characters (C0,
 * DEL, C1) and characters that hide or turn text around become visible signs.
 */

const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Text that is safe to show: `\x1b`, `\u202e` and the like stand for what they were. */
export function safeText(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0)!;
    if (code === 9) return ' ';
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
