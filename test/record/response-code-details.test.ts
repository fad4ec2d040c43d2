import { describe, expect, it } from 'vitest';
import { detailsClass, lookUpDetails } from '../../src/record/response-code-details.js';

describe('detailsClass', () => {
  it.each([
    ['listed as it is', 'via_upstream', 'via_upstream'],
    ['route', 'route_not_found', 'route_not_found'],
    [
      'a reset reason, its transport text dropped',
      'upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
      'upstream_reset_before_response_started{remote_connection_failure}',
    ],
    [
      'a reset reason alone',
      'upstream_reset_before_response_started{connection_termination}',
      'upstream_reset_before_response_started{connection_termination}',
    ],
    [
      'TLS text with addresses',
      'upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end}',
      'upstream_reset_before_response_started{remote_connection_failure}',
    ],
    ['unlisted', 'my_filter_says_no', 'my_filter_says_no'],
    ['unlisted with reason', 'my_filter{because|of_10.0.0.1}', 'my_filter{because}'],
    ['unlisted with list', 'my_filter[one,two]', 'my_filter[one]'],
    ['unlisted, not closed', 'my_filter(one', 'my_filter(one)'],
  ])('%s', (_, details, expected) => {
    expect(detailsClass(details)).toBe(expected);
  });

  it('does not split by policy name', () => {
    const denied = (policy: string): string =>
      detailsClass(`rbac_access_denied_matched_policy[ns[shop]-policy[${policy}]-rule[0]]`);
    expect(denied('a')).toBe(denied('b'));
    expect(denied('a')).not.toContain('shop');
  });
});

describe('lookUpDetails', () => {
  it('knows listed details and no other', () => {
    expect(lookUpDetails('via_upstream')?.value).toBe('via_upstream');
    expect(lookUpDetails('constructor')).toBeUndefined();
    expect(lookUpDetails('')).toBeUndefined();
  });
});
