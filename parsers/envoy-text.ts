import { textFormat } from './text-layout.js';

/** What Envoy writes when nobody sets a format; Istio 1.0 set none. */
export const envoyText = textFormat({
  name: 'envoy-text',
  layout:
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
    '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
    '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"',
  reference:
    'https://github.com/envoyproxy/envoy/blob/v1.36.0/source/common/formatter/substitution_format_utility.cc (DEFAULT_FORMAT)',
});
