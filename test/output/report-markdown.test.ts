import { describe, expect, it } from 'vitest';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import { reportMarkdown } from '../../src/output/report-markdown.js';
import { reportText } from '../../src/output/report-text.js';
import { reportOf, type Report } from '../../src/output/report.js';
import { service, caller } from '../diagnosis/cases/case.js';
import { healthy, moments, NO_HOST, observe, server, type Logged } from '../diagnosis/traffic.js';

const shop = service('orders', 'shop', 8080, '10.70.1.11', '10.70.2.12');
const web = caller('web', '10.70.3.15');

const report = (...lines: readonly (readonly Logged[])[]): Report => {
  const snapshot = observe(lines.flat()).snapshot();
  return reportOf(snapshot, diagnose(snapshot), '0');
};
/** Denials whose path, client and policy were chosen by somebody who wants to be seen. */
const denied = (text: string): readonly Logged[] =>
  moments(20_000, 700, 30).map((at) =>
    server(shop.pods[0]!, shop, web, {
      at,
      ...NO_HOST,
      code: 403,
      details: `rbac_access_denied_matched_policy[ns[shop]-policy[${text}]-rule[0]]`,
      agent: text,
      path: `/${text}`,
      sent: 19,
      ms: 0,
    }),
  );

describe('the report in Markdown', () => {
  it('says what the text says', () => {
    const one = report(healthy(web, shop), denied('deny-all'));
    const plain = reportText(one).replaceAll(/\s+/g, ' ');
    const markdown = reportMarkdown(one);
    const [incident] = one.incidents;
    expect(markdown).toContain(`### HIGH · policy · ${incident!.title}`);
    expect(markdown).toContain(`\`rbac-denied\`, confidence high`);
    for (const { text } of incident!.evidence) {
      expect(plain).toContain(text);
      expect(markdown.replaceAll('\\', '')).toContain(text);
    }
    for (const { command } of incident!.next) expect(markdown).toContain(`\`\`\`\n${command}\n\`\`\``);
    expect(markdown).toContain(String.raw`inbound\|8080\|\|`);
  });

  it('holds nothing that log text could do', () => {
    const markdown = reportMarkdown(
      report(healthy(web, shop), denied('</td><script>@everyone\u001b[2J```|[x](http://evil.example)')),
    );
    const prose = markdown.replaceAll(/^(`{3,})\n[^]*?\n\1$/gm, '');
    expect(prose).not.toMatch(/<\/?\w|@\w|(?<!\\)\]\(|:\/\//);
    expect(markdown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    const table = prose.split('\n').filter((line) => line.startsWith('|'));
    expect(table.length).toBeGreaterThan(2);
    for (const row of table) expect(row.match(/(?<!\\)\|/g)).toHaveLength(7);
  });

  it('says that nothing was found, and what to do where nothing was read', () => {
    expect(reportMarkdown(report(healthy(web, shop)))).toMatch(/^\*\*No incident\./);
    expect(reportMarkdown(report([]))).toContain('It is empty.');
  });
});
