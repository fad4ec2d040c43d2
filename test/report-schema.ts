import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type AnySchemaObject, type ErrorObject } from 'ajv/dist/2020.js';
import { packageRoot } from '../src/paths.js';

export const schema = JSON.parse(
  readFileSync(join(packageRoot, 'schema', 'meshtail.report-1.schema.json'), 'utf8'),
) as AnySchemaObject;
const validate = new Ajv2020({
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  strictRequired: false,
}).compile(schema);

/** The first places where a report departs from its schema; none where it keeps to it. */
export function problems(report: unknown): readonly ErrorObject[] {
  validate(report);
  return validate.errors?.slice(0, 5) ?? [];
}
