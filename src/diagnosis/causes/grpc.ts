import type { Cause } from '../cause.js';
import { claim, studies, top } from '../study.js';
import { isGrpc } from '../traits.js';
import { clock } from '../words.js';

/** gRPC keeps status 200 whatever happened: the flag alone shows it. */
export const grpcBehind200: Cause = {
  id: 'grpc-failure-behind-200',
  reference: 'https://github.com/istio/istio/issues/39758',
  mechanism: 'gRPC carries its status in trailers, so that failures have HTTP status 200.',
  signs: [
    'POST /package.Service/Method HTTP/2 with 200 and a flag or details other than via_upstream',
    '200 URX via_upstream may be the only trace',
  ],
  against: [],
  judge: (scene) =>
    studies(
      scene,
      (kind) =>
        kind.code === 200 &&
        (kind.flags.length > 0 || (kind.details !== null && kind.details !== 'via_upstream')),
      { fits: isGrpc },
    ).map((study) =>
      claim(study, {
        cause: 'grpc-failure-behind-200',
        title: `gRPC calls to ${study.place} fail behind status 200`,
        story: `the lines say 200 and carry ${top(study.rows, (row) => row.flags.join(',') || row.details)}; dashboards that count status codes see nothing. ${study.sample.answeredBy === 'peer' ? 'What failed the attempts stands in the servers’ lines.' : ''}`,
        at: { endpoints: study.concentration((row) => row.upstreamIp)?.bad.map(({ value }) => value) ?? [] },
        evidence: [
          study.fact('gRPC calls with status 200 that failed', study.rows, study.during),
          ...study.contrast('upstream host', (row) => row.upstreamIp),
        ],
        confidence: 'likely',
        why: `the flag tells that it failed from ${clock(study.first)} on, and not why`,
        next: [
          {
            purpose: 'add %GRPC_STATUS% to the access log format',
            command: 'kubectl get telemetry -A -o yaml',
          },
        ],
        fix: ['What the flag stands for; and log the gRPC status.'],
      }),
    ),
};
