/** Which calls the H.323 lab makes, and the table of what came of them (docs/interop.md). */
import type { Access, CallPath, Codec, Direction } from './h323-plan.ts';
import { ACCESSES } from './h323-plan.ts';

export const SCENARIOS = [
  'sound',
  'digits',
  'busy',
  'no answer',
  'cancel',
  'caller clears',
  'callee clears',
] as const;
export type Scenario = (typeof SCENARIOS)[number];

const DIRECTIONS: readonly Direction[] = ['inward', 'outward'];
const CODECS: readonly Codec[] = ['ulaw', 'alaw'];

/** Every way of the one side with every way of the other; SIP to SIP is the business of calls.lab.ts. */
function pairs(): (readonly [Access, Access])[] {
  const all = ACCESSES.flatMap((caller) => ACCESSES.map((callee) => [caller, callee] as const));
  return all.filter(([caller, callee]) => caller !== 'sip' || callee !== 'sip');
}

export function soundPaths(): CallPath[] {
  return DIRECTIONS.flatMap((direction) =>
    CODECS.flatMap((codec) => pairs().map(([caller, callee]) => ({ direction, caller, callee, codec }))),
  );
}

/** Each pair of values of (direction, caller, callee, codec) at least once. */
export function pairwise(): CallPath[] {
  const wanted = new Set(soundPaths().flatMap(pairsOf));
  const chosen: CallPath[] = [];
  while (wanted.size > 0) {
    let best: CallPath | undefined;
    let most = 0;
    for (const path of soundPaths()) {
      const gain = pairsOf(path).filter((p) => wanted.has(p)).length;
      if (gain > most) [best, most] = [path, gain];
    }
    chosen.push(best!);
    for (const pair of pairsOf(best!)) wanted.delete(pair);
  }
  return chosen;
}

function pairsOf(path: CallPath): string[] {
  const values = [path.direction, `from ${path.caller}`, `to ${path.callee}`, path.codec];
  return values.flatMap((a, i) => values.slice(i + 1).map((b) => `${a}, ${b}`));
}

const WAYS: readonly (readonly [Access, Access])[] = [
  ['sip', 'fast-tunnel'],
  ['fast-tunnel', 'sip'],
  ['slow-separate', 'sip'],
  ['sip', 'slow-separate'],
  ['fast-tunnel', 'slow-tunnel'],
  ['slow-separate', 'fast-separate'],
];

/** What besides sound is tried: all of it on `WAYS` in both directions, or a third of that. */
export function scenarioPaths(all: boolean): (readonly [Scenario, CallPath])[] {
  const list = SCENARIOS.slice(1).flatMap((scenario, s) =>
    DIRECTIONS.flatMap((direction, d) =>
      WAYS.map(([caller, callee], w) => {
        const path: CallPath = { direction, caller, callee, codec: CODECS[(s + d + w) % 2]! };
        return { scenario, path, chosen: (s + 2 * d + w) % 4 === 0 };
      }),
    ),
  );
  return list.filter((one) => all || one.chosen).map(({ scenario, path }) => [scenario, path] as const);
}

export class Results {
  /** Calls that the peer took at the second attempt only. */
  again = 0;
  readonly #passed = new Map<string, boolean>();

  begin(scenario: Scenario, path: CallPath): void {
    this.#passed.set(key(scenario, path), false);
  }

  passed(scenario: Scenario, path: CallPath): void {
    this.#passed.set(key(scenario, path), true);
  }

  /** The document. `whole`: of the full run, not of the usual subset. */
  text(whole: boolean): string {
    const rows = DIRECTIONS.flatMap((direction) =>
      pairs().map(([caller, callee]) => {
        const cells = SCENARIOS.map((scenario) => this.#cell(scenario, { direction, caller, callee }));
        return `| ${[direction, caller, callee, ...cells].join(' | ')} |`;
      }),
    );
    const total = [...this.#passed.values()];
    const head = ['direction', 'caller', 'callee', ...SCENARIOS];
    return `# Interoperation

Written by ${whole ? '`npm run test:lab -- --full h323`' : 'the usual run of the lab, which tries each pair of values; `npm run test:lab -- --full h323` tries all'} (test/lab/h323.lab.ts): Asterisk 22 with \`chan_ooh323\` and \`chan_pjsip\` in the
intranet and another one on the Internet side, both gateways between them. "inward": the Internet side calls. "fast" and
"slow": with FastStart or without; "tunnel" and "separate": H.245 inside call signalling or in a connection of its own. Sound is
judged by the recorded tone at both ends, in G.711 mu-law and A-law; digits are those that the called Asterisk read.

${total.filter(Boolean).length} of ${total.length} calls as they should be; ${this.again} at the second attempt only, as chan_ooh323 needs it now and then. An empty cell was not tried.

| ${head.join(' | ')} |
| ${head.map(() => '---').join(' | ')} |
${rows.join('\n')}

## Besides

| What | chan_ooh323 of Asterisk 22 | Tried in |
| --- | --- | --- |
| Tones before the answer (Progress, FastStart) | yes: a SIP caller hears them | \`h323-more.lab.ts\` |
| Hold and resume by a SIP side (empty capability set) | yes, FastStart and slow start, tunnelled and separate | \`h323-more.lab.ts\` |
| Hold by Asterisk itself | not tried: chan_ooh323 sends no empty capability set | \`sim/h323-features\` tests only |
| Digits as H.245 signal, H.245 alphanumeric, Q.931 keypad | yes, each reaches a SIP side as RFC 4733 or INFO | \`h323-more.lab.ts\` |
| Digits as RFC 4733 | no: chan_ooh323 with \`dtmfmode=rfc2833\` cannot send sound any more; ours is tested with SIP peers | |
| IPv6, Asterisk calls | yes, in all four manners | \`h323-more.lab.ts\` |
| IPv6, Asterisk is called | yes, FastStart and slow start, tunnelled and separate. Asterisk ends by itself (SIGABRT, a buffer too small for \`inet_ntop\`) where a Setup has a \`sourceCallSignalAddress\` of IPv6: that optional field is left out over IPv6 | \`h323-more.lab.ts\` |
| Gatekeeper: registration, admission, calls in both directions | yes | \`h323-gatekeeper.lab.ts\` |
| Fax (T.38), a page from the Internet to the PBX, H.323 on one side and SIP on the other | yes, in both arrangements: the page arrives dot by dot (RequestMode, H.323 D.5) | \`fax-h323.lab.ts\` |
| Fax (T.38) from the start, without sound (FastStart or channels of T.38 alone) | no: it accepts our channel, then clears the call because it has no audio channel to open (cause 16, which is 480) | \`sim/h323-fax-first\` tests; tried by hand |
| Fax (T.38) refused by \`fax: false\` | chan_pjsip falls back to sound on both sides, and the page arrives; now and then its modems need a second call | \`fax.lab.ts\` |
| Capabilities after a hold, on a machine that stands still now and then | Asterisk sometimes dies (SIGSEGV where it adds to the joint capabilities; once in some fifty calls held and resumed within a second on a machine stopped 40 % of the time): the lab starts it again and repeats the test, and says so | \`h323-more\` |
| Set-up, now and then | 3 s late: the thread of its call sometimes begins before the connection is in place, and looks at it only after 3 s; the call then goes on as any other | \`h323-more.lab.ts\`, seen in its trace |
| Supplementary services (H.450), video | chan_ooh323 has none | \`h323/h450\` and \`sim/h323-video\` tests |
`;
  }

  #cell(scenario: Scenario, path: Omit<CallPath, 'codec'>): string {
    const found = CODECS.map((codec) => this.#passed.get(key(scenario, { ...path, codec })));
    const tried = found.filter((passed) => passed !== undefined);
    if (tried.length === 0) return '';
    return tried.every(Boolean) ? 'yes' : 'no';
  }
}

function key(scenario: Scenario, path: CallPath): string {
  return [scenario, path.direction, path.caller, path.callee, path.codec].join('/');
}
