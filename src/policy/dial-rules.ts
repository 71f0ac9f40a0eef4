/** Dial rules: where a call goes, with which numbers, and why. */
import type { Result } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import type { Party } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { asCalled, asDialled, matchesPattern, numberText, patternProblem } from './number-pattern.ts';
import type { Refusal } from './refusal.ts';

/**
 * Dial rules, first match wins. `from`: where the call comes from: 'tunnel' or 'peers' (this gateway's own side), or one of them.
 * `match`, `callerMatch`: see number-pattern.ts.
 * `to`: 'tunnel' (termination: 'tunnel:SITE'), 'peer:NAME', 'registered' or 'refuse:CAUSE'.
 * `strip` digits are taken off the front (a `+` is no digit), then `prefix` is put there. Where either does anything, the
 * number is international if and only if the prefix begins with `+`.
 */
export interface RouteRule {
  readonly name: string;
  readonly from: 'tunnel' | 'peers' | `peer:${string}` | `tunnel:${string}`;
  readonly match: string;
  readonly callerMatch?: string;
  readonly to: string;
  readonly strip: number;
  readonly prefix: string;
  readonly callerStrip: number;
  readonly callerPrefix: string;
}

/** Where a call goes. `route` names the rule; numbers are as rewritten by it. */
export type RouteDecision =
  | {
      readonly kind: 'tunnel';
      readonly site?: string;
      readonly route: string;
      readonly caller: Party;
      readonly callee: Party;
    }
  | {
      readonly kind: 'peer';
      readonly peer: string;
      readonly route: string;
      readonly caller: Party;
      readonly callee: Party;
    }
  | { readonly kind: 'registered'; readonly route: string; readonly caller: Party; readonly callee: Party }
  | { readonly kind: 'refuse'; readonly route: string; readonly refusal: Refusal };

/** One line per rule looked at, for `voip-sgw route-test`. */
export interface RouteStep {
  readonly route: string;
  readonly outcome: 'matches' | 'other-side' | 'callee-differs' | 'caller-differs';
}

export interface RouteExplanation {
  readonly steps: readonly RouteStep[];
  readonly decision: RouteDecision;
  /** `rule "in": +4930… goes to peer pbx as 2001`; with whole numbers, for the operator who asked. */
  readonly summary: string;
}

export interface RouteProblem {
  readonly index: number;
  readonly route: string;
  readonly problem: string;
}

type Target =
  | { readonly kind: 'tunnel'; readonly site?: string }
  | { readonly kind: 'peer'; readonly peer: string }
  | { readonly kind: 'registered' }
  | { readonly kind: 'refuse'; readonly cause: number };

interface Compiled {
  readonly rule: RouteRule;
  readonly target: Target;
}

/** Q.850: 1 unallocated number, 28 invalid number format. */
const UNALLOCATED = 1;
const INVALID_NUMBER = 28;

/** All problems of all rules, or the plan. */
export function compileRoutes(rules: readonly RouteRule[]): Result<DialPlan, readonly RouteProblem[]> {
  const problems: RouteProblem[] = [];
  const compiled: Compiled[] = [];
  rules.forEach((rule, index) => {
    const target = targetOf(rule.to);
    const problem =
      ruleProblem(rule) ?? (target === undefined ? `"to: ${rule.to}" names no place` : undefined);
    if (problem !== undefined) problems.push({ index, route: rule.name, problem });
    else compiled.push({ rule, target: target! });
  });
  return problems.length > 0 ? fail(problems) : ok(new DialPlan(compiled));
}

function ruleProblem(rule: RouteRule): string | undefined {
  if (!/^(tunnel|peers)$|^(peer|tunnel):.+/.test(rule.from)) return `"from: ${rule.from}" names no side`;
  for (const pattern of [rule.match, rule.callerMatch]) {
    const problem = pattern === undefined ? undefined : patternProblem(pattern);
    if (problem !== undefined) return `pattern "${pattern}" ${problem}`;
  }
  for (const prefix of [rule.prefix, rule.callerPrefix]) {
    if (!/^\+?[0-9*#A-D]*$/.test(prefix)) return `prefix "${prefix}" is no number`;
  }
  for (const count of [rule.strip, rule.callerStrip]) {
    if (!Number.isInteger(count) || count < 0 || count > META_LIMITS.numberBytes)
      return 'strip is out of range';
  }
  return undefined;
}

function targetOf(to: string): Target | undefined {
  if (to === 'tunnel') return { kind: 'tunnel' };
  if (to === 'registered') return { kind: 'registered' };
  const colon = to.indexOf(':');
  const name = to.slice(colon + 1);
  if (colon < 0 || name === '') return undefined;
  switch (to.slice(0, colon)) {
    case 'tunnel':
      return { kind: 'tunnel', site: name };
    case 'peer':
      return { kind: 'peer', peer: name };
    case 'refuse': {
      const cause = Number(name);
      return /^\d{1,3}$/.test(name) && cause >= 1 && cause <= 127 ? { kind: 'refuse', cause } : undefined;
    }
    default:
      return undefined;
  }
}

export class DialPlan {
  readonly #rules: readonly Compiled[];

  /** Use compileRoutes. */
  constructor(rules: readonly Compiled[]) {
    this.#rules = rules;
  }

  /** `from`: 'peer:NAME' or 'tunnel:SITE' (or 'peers', 'tunnel' where the name does not matter). What is judged is what is called. */
  decide(from: string, calleeIn: Party, callerIn: Party): RouteDecision {
    const [callee, caller] = [asCalled(calleeIn), asDialled(callerIn)];
    for (const compiled of this.#rules) {
      if (outcomeOf(compiled.rule, from, callee, caller) === 'matches')
        return apply(compiled, callee, caller);
    }
    return { kind: 'refuse', route: '', refusal: { cause: UNALLOCATED, reason: 'no-route' } };
  }

  explain(from: string, calleeIn: Party, callerIn: Party): RouteExplanation {
    const [callee, caller] = [asCalled(calleeIn), asDialled(callerIn)];
    const steps: RouteStep[] = [];
    for (const { rule } of this.#rules) {
      const outcome = outcomeOf(rule, from, callee, caller);
      steps.push({ route: rule.name, outcome });
      if (outcome === 'matches') break;
    }
    const decision = this.decide(from, callee, caller);
    return { steps, decision, summary: summaryOf(decision, from, callee) };
  }
}

function outcomeOf(rule: RouteRule, from: string, callee: Party, caller: Party): RouteStep['outcome'] {
  const group = rule.from === 'peers' ? 'peer:' : rule.from === 'tunnel' ? 'tunnel:' : undefined;
  if (rule.from !== from && !(group !== undefined && from.startsWith(group))) return 'other-side';
  if (!matchesPattern(rule.match, callee)) return 'callee-differs';
  if (rule.callerMatch !== undefined && !matchesPattern(rule.callerMatch, caller)) return 'caller-differs';
  return 'matches';
}

function apply({ rule, target }: Compiled, calleeIn: Party, callerIn: Party): RouteDecision {
  const route = rule.name;
  if (target.kind === 'refuse') {
    return { kind: 'refuse', route, refusal: { cause: target.cause, reason: 'refused-by-rule' } };
  }
  const callee = rewrite(calleeIn, rule.strip, rule.prefix);
  const caller = rewrite(callerIn, rule.callerStrip, rule.callerPrefix);
  if (callee === undefined || caller === undefined || callee.number === '') {
    return { kind: 'refuse', route, refusal: { cause: INVALID_NUMBER, reason: 'rewriting' } };
  }
  return { ...target, route, caller, callee };
}

/** Undefined where the result is no number. An unknown caller (empty number) stays unknown. */
function rewrite(party: Party, strip: number, prefix: string): Party | undefined {
  if ((strip === 0 && prefix === '') || party.number === '') return party;
  const international = prefix.startsWith('+');
  const number = (international ? prefix.slice(1) : prefix) + party.number.slice(strip);
  if (number === '' || number.length > META_LIMITS.numberBytes) return undefined;
  const isNumber = /^[0-9*#A-D]+$/.test(number);
  if (international && !/^[0-9]+$/.test(number)) return undefined;
  const numberType = international ? 'international' : isNumber ? 'unknown' : 'uri';
  return { ...party, number, numberType };
}

function summaryOf(decision: RouteDecision, from: string, callee: Party): string {
  const number = numberText(callee) || '(no number)';
  if (decision.kind === 'refuse') {
    const { cause, reason } = decision.refusal;
    const by = decision.route === '' ? 'no rule matches' : `rule "${decision.route}"`;
    return `${by}: ${number} from ${from} is refused, cause ${cause} (${reason})`;
  }
  const to =
    decision.kind === 'peer'
      ? `peer ${decision.peer}`
      : decision.kind === 'registered'
        ? 'a registered user'
        : decision.site === undefined
          ? 'the tunnel'
          : `the tunnel to ${decision.site}`;
  const dialled = numberText(decision.callee);
  const as = dialled === numberText(callee) ? '' : ` as ${dialled}`;
  return `rule "${decision.route}": ${number} from ${from} goes to ${to}${as}`;
}
