/** The command line. What a command needs is imported when it runs: `voip-sgw calls` must not wait for the certificate code. */
import { Command, CommanderError, Option } from 'commander';
import type { GatewayConfig } from '../gateway/config.ts';
import { CliError, EXIT, type Io, processIo, usageError } from './io.ts';

/** Runs a gateway until it has stopped; the exit code where it is not 0. */
export type RunGateway = (config: GatewayConfig, configPath: string) => Promise<number | undefined>;

export interface Services {
  readonly run: RunGateway;
  /** Default: the process's own streams. */
  readonly io?: Io;
  /** Shown by --version. */
  readonly version?: string;
}

/** `args`: what stands after the program's name. Resolves to the exit code: 0 ok, 1 failure, 2 usage or configuration. Never throws. */
export async function main(args: readonly string[], services: Services): Promise<number> {
  const io = services.io ?? processIo;
  const outcome = { code: EXIT.ok as number };
  const program = build(services, io, outcome);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return outcome.code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof CliError) {
      io.stderr(`${error.message}\n`);
      return error.exitCode;
    }
    io.stderr(`${systemError(error)}\n`);
    return EXIT.failure;
  }
}

/** A file or socket in the way is the administrator's business; anything else is a defect and shows where. */
function systemError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error as NodeJS.ErrnoException).code === undefined ? (error.stack ?? error.message) : error.message;
}

function build(services: Services, io: Io, outcome: { code: number }): Command {
  const program = new Command('voip-sgw')
    .description('Firewall-friendly VoIP secure gateway: calls over two outgoing TCP connections.')
    .version(services.version ?? 'unknown')
    .exitOverride()
    .showHelpAfterError('(voip-sgw COMMAND --help shows the options)')
    .configureOutput({ writeOut: (text) => io.stdout(text), writeErr: (text) => io.stderr(text) });
  addGateways(program, services.run, io, outcome);
  addSetup(program, io);
  addConfiguration(program, io, outcome);
  addFirewall(program, io);
  addOperator(program, io, outcome);
  return program;
}

function addGateways(program: Command, run: RunGateway, io: Io, outcome: { code: number }): void {
  for (const [role, description] of [
    ['termination', 'run the termination gateway (GW2, in the DMZ)'],
    ['relay', 'run the relay gateway (GW1, in the intranet)'],
  ] as const) {
    program
      .command(role)
      .description(description)
      .requiredOption('-c, --config <file>', 'configuration file')
      .action(async (options: { config: string }) => {
        const { formatConfigError, loadConfig } = await import('../store/config.ts');
        const loaded = loadConfig(options.config);
        if (!loaded.ok) throw usageError(loaded.error.map(formatConfigError).join('\n'));
        const { config, warnings } = loaded.value;
        for (const warning of warnings) io.stderr(`warning: ${formatConfigError(warning)}\n`);
        if (config.role !== role) {
          throw usageError(
            `${options.config} is of a ${config.role} gateway; start it with: voip-sgw ${config.role}`,
          );
        }
        outcome.code = (await run(config, options.config)) ?? EXIT.ok;
      });
  }
}

const json = (): Option => new Option('--json', 'print one JSON value');
const list = (value: string, before: readonly string[]): string[] => [...before, value];

function addSetup(program: Command, io: Io): void {
  program
    .command('init')
    .argument('<dir>', 'folder to write to')
    .description('write a working pair of configurations with a private CA')
    .option('--termination-address <ip>', 'address the relay gateway dials', '127.0.0.1')
    .option('--internet <ip>', "termination gateway's address on the Internet side", '127.0.0.1')
    .option('--public <ip>', 'the same as the Internet sees it, behind static NAT')
    .option('--relay-address <ip>', "relay gateway's address in the intranet", '127.0.0.1')
    .option('--pbx <host:port>', 'the IP-PBX', '127.0.0.1:5080')
    .option('--pbx-media <network>', 'network of phones media may go to (repeatable)', list, [])
    .option('--trunk <host:port>', 'a SIP trunk on the Internet side')
    .option('--trunk-source <network>', 'network the trunk calls from (repeatable)', list, [])
    .option('--domain <name>', 'domain remote users register for', 'voip.example')
    .option('--termination-name <name>', "termination gateway's name", 'gw2')
    .option('--relay-name <name>', "relay gateway's name", 'gw1')
    .option('--signalling-port <port>', 'tunnel port for signalling', '7060')
    .option('--media-port <port>', 'tunnel port for media', '7061')
    .option('--ca-days <days>', 'validity of the CA', '3650')
    .option('--days <days>', 'validity of the certificates', '365')
    .option('--force', 'replace what is there')
    .addOption(json())
    .action(async (dir: string, options) =>
      (await import('./command-init.ts')).initCommand(dir, options, io),
    );
  program
    .command('certificate')
    .argument('<name>', 'DNS name in the certificate')
    .description('issue a certificate of the private CA, for example for another site')
    .option('--dir <dir>', 'folder init has written', '.')
    .addOption(
      new Option('--use <use>', 'what for').choices(['relay', 'termination', 'sip']).default('relay'),
    )
    .option('--ip <ip>', 'address in the certificate (repeatable)', list, [])
    .option('--days <days>', 'validity', '365')
    .option('--force', 'replace what is there')
    .addOption(json())
    .action(async (name: string, options) =>
      (await import('./command-init.ts')).certificateCommand(name, options, io),
    );
  program
    .command('renew')
    .argument('[dir]', 'folder init has written', '.')
    .description('issue all certificates of the private CA anew')
    .option('--days <days>', 'validity', '365')
    .addOption(json())
    .action(async (dir: string, options) =>
      (await import('./command-init.ts')).renewCommand(dir, options, io),
    );
}

function addConfiguration(program: Command, io: Io, outcome: { code: number }): void {
  program
    .command('check')
    .argument('<file...>', 'configuration files; a pair is checked against each other')
    .description('check configurations, their certificates, and how they fit together')
    .option('--no-files', 'do not look at certificates and keys')
    .addOption(json())
    .action(async (files: string[], options) => {
      outcome.code = (await import('./command-check.ts')).checkCommand(files, options, io);
    });
  program
    .command('schema')
    .description('print the JSON Schema of the configuration, for editors')
    .option('--markdown', 'print the reference of all keys instead')
    .addOption(json())
    .action(async (options: { markdown?: boolean }) => {
      const schema = await import('../store/schema.ts');
      io.stdout(options.markdown === true ? schema.configReference() : schema.configJsonSchemaText());
    });
}

function addFirewall(program: Command, io: Io): void {
  program
    .command('firewall')
    .description("print the firewalls' rules")
    .requiredOption('-c, --config <file>', 'configuration file')
    .addOption(
      new Option('--format <format>', 'how').choices(['nftables', 'iptables', 'words', 'all']).default('all'),
    )
    .option('--inner', 'only the firewall between DMZ and intranet')
    .option('--outer', 'only the firewall between Internet and DMZ')
    .option('--combined', 'one firewall with three legs')
    .option('--intranet <network>', 'with --combined: network of the intranet (repeatable)', list, [])
    .option('--relay-address <ip>', "relay gateway's address as the inner firewall sees it")
    .option('--termination-address <ip>', 'address the relay gateway dials')
    .addOption(json())
    .action(async (options) => (await import('./command-firewall.ts')).firewallCommand(options, io));
}

function addOperator(program: Command, io: Io, outcome: { code: number }): void {
  const command = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'configuration the gateway was started with')
      .option('-s, --socket <path>', "the gateway's operator socket")
      .addOption(json());
  const commands = () => import('./command-operator.ts');
  command('calls', 'live calls')
    .option('-w, --watch', 'every two seconds')
    .action(async (options) => (await commands()).callsCommand(options, io));
  command('trace', 'the ladder of one call')
    .argument('<call>', 'call id or its beginning, as "calls" shows it')
    .action(async (call: string, options) => (await commands()).traceCommand(call, options, io));
  command('status', 'tunnel, peers, workers, counters; exit code 1 where a tunnel is down').action(
    async (options) => {
      outcome.code = await (await commands()).statusCommand(options, io);
    },
  );
  command('route-test', 'what would happen to a call')
    .argument('<number>', 'called number')
    .option('--from <origin>', '"peers", "tunnel", "peer:NAME" or "tunnel:SITE"')
    .action(async (number: string, options) => (await commands()).routeTestCommand(number, options, io));
  command('reload', 'read the configuration again').action(async (options) =>
    (await commands()).reloadCommand(options, io),
  );
  command('drain', 'take no new calls, end with the last one').action(async (options) =>
    (await commands()).drainCommand(options, io),
  );
}
