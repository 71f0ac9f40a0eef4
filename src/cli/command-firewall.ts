/** `voip-sgw firewall`: the rules of both firewalls, ready to load. */
import { formatConfigError, loadConfig } from '../store/config.ts';
import {
  bothSections,
  type FirewallSection,
  innerSection,
  outerSection,
  type PlanOptions,
} from './firewall-plan.ts';
import { type FirewallFormat, printSection } from './firewall-print.ts';
import { type Io, printJson, usageError } from './io.ts';

export interface FirewallOptions extends PlanOptions {
  readonly config: string;
  readonly format: FirewallFormat | 'all';
  readonly inner?: boolean;
  readonly outer?: boolean;
  readonly combined?: boolean;
  readonly json?: boolean;
}

const FORMATS = ['words', 'nftables', 'iptables'] as const;

export function firewallCommand(options: FirewallOptions, io: Io): void {
  const loaded = loadConfig(options.config, { files: false });
  if (!loaded.ok) throw usageError(loaded.error.map(formatConfigError).join('\n'));
  const sections = sectionsOf(loaded.value.config, options);
  if (options.json === true) {
    const printed = sections.map((section) => ({
      ...section,
      nftables: printSection(section, 'nftables'),
      iptables: printSection(section, 'iptables'),
      words: printSection(section, 'words'),
    }));
    printJson(io, { sections: printed });
    return;
  }
  const formats = options.format === 'all' ? FORMATS : [options.format];
  const texts = sections.flatMap((section) =>
    formats.map((format) => {
      const text = printSection(section, format);
      return options.format === 'all' ? `==== ${section.name}, ${format} ====\n${text}` : text;
    }),
  );
  io.stdout(texts.join('\n'));
}

/** Neither flag: all that this file can tell (a relay gateway's file knows the inner firewall only). */
function sectionsOf(config: Parameters<typeof innerSection>[0], options: FirewallOptions): FirewallSection[] {
  if (options.combined === true) {
    return [bothSections(innerSection(config, options), outerSection(config), options.intranet ?? [])];
  }
  const none = options.inner !== true && options.outer !== true;
  const sections: FirewallSection[] = [];
  if (none || options.inner === true) sections.push(innerSection(config, options));
  if (options.outer === true || (none && config.role === 'termination')) sections.push(outerSection(config));
  return sections;
}
