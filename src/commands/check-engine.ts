import { parentPort, workerData } from 'node:worker_threads';
import { ClusterClient } from '../cluster/client.js';
import { connectionOf, type TransferableConnection } from '../cluster/kubeconfig.js';
import { askCluster, type Question, type Verdict } from './verify.js';

/*
 * The thread that asks a cluster for what the screen's incidents want to know: a large cluster's objects take seconds to
 * read and to judge, and lines go on being read meanwhile.
 */

const port = parentPort!;
const client = new ClusterClient(connectionOf(workerData as TransferableConnection));

port.on('message', (question: Question) => {
  void askCluster(client, [question]).then(([verdict]) =>
    port.postMessage(verdict satisfies Verdict | undefined),
  );
});
