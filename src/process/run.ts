/** Runs one gateway: starts it, serves operator and metrics, obeys signals, ends with everything closed. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { GatewayConfig } from '../gateway/config.ts';
import { MetricsServer } from '../net/metrics-server.ts';
import { OperatorServer } from '../net/unix-socket.ts';
import { formatConfigError, loadConfig } from '../store/config.ts';
import { createLogger, type Logger } from '../store/log.ts';
import { parseOperatorRequest, type ReloadView } from '../store/operator.ts';
import { GatewayProcess } from './gateway-process.ts';
import { systemFault } from './system-fault.ts';

/** Calls that still run this long after SIGTERM are released. A second signal ends at once. */
const DRAIN_MS = 30_000;

/** Resolves with the exit code when the gateway has stopped: 0 orderly, 1 it could not start. */
export async function runGateway(config: GatewayConfig, configPath: string): Promise<number> {
  const log = createLogger({ level: config.log.level, fields: { gateway: config.name, role: config.role } });
  let started: GatewayProcess | undefined;
  let operator: OperatorServer | undefined;
  let metrics: MetricsServer | undefined;
  try {
    const gateway = new GatewayProcess(config, log);
    started = gateway;
    mkdirSync(dirname(config.operator.socket), { recursive: true, mode: 0o700 });
    operator = await OperatorServer.listen({ path: config.operator.socket }, (request) => {
      const command = parseOperatorRequest(request);
      if (!command.ok) throw new Error(command.error);
      return command.value.command === 'reload'
        ? reloadFrom(gateway, configPath, log)
        : gateway.operator(command.value);
    });
    if (config.operator.metrics !== undefined) {
      metrics = await MetricsServer.listen(config.operator.metrics, {
        metrics: () => gateway.renderMetrics(),
        problem: () => gateway.problem(),
      });
    }
    await gateway.start();
  } catch (error) {
    log.error('cannot start', { message: systemFault(error) });
    log.flush();
    process.stderr.write(`cannot start: ${systemFault(error)}\n`);
    await operator?.stop();
    await metrics?.stop();
    await started?.stop();
    return 1;
  }
  const gateway = started;
  let signals = 0;
  const terminate = (signal: NodeJS.Signals): void => {
    signals++;
    log.info('signal', { signal });
    gateway.drain(signals === 1 ? DRAIN_MS : 0);
  };
  const hangUp = (): void => {
    reloadFrom(gateway, configPath, log).catch((error: unknown) =>
      log.error('reload failed; the old configuration stays', { message: systemFault(error) }),
    );
  };
  process.on('SIGTERM', terminate).on('SIGINT', terminate).on('SIGHUP', hangUp);
  await gateway.stopped;
  process.off('SIGTERM', terminate).off('SIGINT', terminate).off('SIGHUP', hangUp);
  await operator.stop();
  await metrics?.stop();
  await gateway.stop();
  log.info('stopped');
  log.flush();
  return 0;
}

async function reloadFrom(gateway: GatewayProcess, configPath: string, log: Logger): Promise<ReloadView> {
  const loaded = loadConfig(configPath);
  if (!loaded.ok) throw new Error(loaded.error.map(formatConfigError).join('\n'));
  const messages = await gateway.reload(loaded.value.config);
  log.info('configuration reloaded', { messages: messages.join('; ') });
  return { applied: true, messages: [...loaded.value.warnings.map(formatConfigError), ...messages] };
}
