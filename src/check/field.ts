/** A value that is not what its field takes. */
export interface Complaint {
  readonly field: string;
  readonly expected: string;
}

/**
 * A place in an object whose shape is not known yet. What is absent or null reads as `undefined`; what is of another type
 * does too, and is complained about, so that a check can say that it could not judge.
 */
export class Field {
  constructor(
    readonly value: unknown,
    readonly path: string,
    readonly complaints: Complaint[],
  ) {}

  /** `at('spec', 'http')`. */
  at(...keys: readonly string[]): Field {
    let value = this.value;
    let path = this.path;
    for (const key of keys) {
      if (value !== undefined && value !== null && !isMap(value)) {
        this.#complain('a map', path);
        value = undefined;
      }
      value = isMap(value) && Object.hasOwn(value, key) ? value[key] : undefined;
      path = path === '' ? key : `${path}.${key}`;
    }
    return new Field(value, path, this.complaints);
  }

  get present(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  text(): string | undefined {
    if (!this.present) return undefined;
    if (typeof this.value === 'string') return this.value;
    return this.#complain('text');
  }

  number(): number | undefined {
    if (!this.present) return undefined;
    if (typeof this.value === 'number' && Number.isFinite(this.value)) return this.value;
    return this.#complain('a number');
  }

  flag(): boolean | undefined {
    if (!this.present) return undefined;
    if (typeof this.value === 'boolean') return this.value;
    return this.#complain('true or false');
  }

  /** A port or the like: 8080 or `http`. */
  numberOrText(): number | string | undefined {
    if (!this.present) return undefined;
    if (typeof this.value === 'number' || typeof this.value === 'string') return this.value;
    return this.#complain('a number or a name');
  }

  items(): readonly Field[] {
    if (!this.present) return [];
    if (!Array.isArray(this.value)) return this.#complain('a list') ?? [];
    return this.value.map((item, i) => new Field(item, `${this.path}[${i}]`, this.complaints));
  }

  entries(): readonly (readonly [string, Field])[] {
    if (!this.present) return [];
    if (!isMap(this.value)) return this.#complain('a map') ?? [];
    return Object.entries(this.value).map(([key, item]) => [
      key,
      new Field(item, `${this.path}.${key}`, this.complaints),
    ]);
  }

  texts(): readonly string[] {
    return this.items().flatMap((item) => item.text() ?? []);
  }

  /** Labels and their like; numbers and booleans that YAML made of them are read as text. */
  map(): ReadonlyMap<string, string> {
    return new Map(
      this.entries().flatMap(([key, { value }]) =>
        typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
          ? [[key, String(value)]]
          : [],
      ),
    );
  }

  /** ms since the epoch of an RFC 3339 time. */
  time(): number | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const ms = Date.parse(text);
    return Number.isNaN(ms) ? this.#complain('a time') : ms;
  }

  #complain(expected: string, field = this.path): undefined {
    this.complaints.push({ field, expected });
    return undefined;
  }
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
