import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { LetheError } from '../errors/errors.js';
import { cacheFolder } from './temporal-binary.js';

const run = promisify(execFile);

/** A server in Java that speaks MongoDB's protocol, in memory, from Maven Central; and its version tested with. */
const JAVA_SERVER = { group: 'de.bwaldvogel', artifact: 'mongo-java-server', version: '1.47.0' } as const;

/** Where a MongoDB server comes from. */
export type MongoProgram =
  | { readonly kind: 'mongod'; readonly path: string }
  /** Class path of the jars; `LAUNCHER` starts it. */
  | { readonly kind: 'java'; readonly classPath: string };

/** Why no MongoDB server can be had here, with the fix. */
export const MONGO_FIX =
  'No MongoDB server: set MONGODB_URI to one, put mongod on PATH (or MONGOMS_SYSTEM_BINARY), or install Java 17 and Maven (apt-get install default-jdk-headless maven) for a stand-in from Maven Central.';

/**
 * Finds a server program, in this order: `MONGOMS_SYSTEM_BINARY`; `mongod` on PATH; the jars of a stand-in in Java that
 * an earlier call of this function left; the same by Maven, through the repositories that it is set up with.
 *
 * @param tell gets one line before anything is downloaded.
 * @throws LetheError `ToolMissing` when there is none to be had.
 */
export async function findMongo(tell: (line: string) => void = () => {}): Promise<MongoProgram> {
  const named = process.env.MONGOMS_SYSTEM_BINARY;
  const paths = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'mongod'));
  for (const path of [...(named ? [named] : []), ...paths])
    if (executable(path)) return { kind: 'mongod', path };
  const folder = join(cacheFolder(), JAVA_SERVER.artifact, JAVA_SERVER.version);
  try {
    await run('java', ['-version']);
    if (!existsSync(folder)) {
      tell('Downloading a server that speaks the protocol of MongoDB (once)');
      await download(folder);
    }
  } catch (error) {
    const reason = (error as { stderr?: string; message: string }).stderr || (error as Error).message;
    throw new LetheError('ToolMissing', `${MONGO_FIX} (${reason.trim().split('\n')[0]})`);
  }
  return { kind: 'java', classPath: join(folder, '*') };
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Lets Maven copy the jars into a folder of their own and moves it to its place: two processes may do this at once. */
async function download(target: string): Promise<void> {
  await mkdir(join(target, '..'), { recursive: true });
  const fresh = await mkdtemp(`${target}-`);
  try {
    await writeFile(join(fresh, 'pom.xml'), POM);
    const args = [
      '-q',
      '-B',
      '-f',
      join(fresh, 'pom.xml'),
      'dependency:copy-dependencies',
      `-DoutputDirectory=${fresh}`,
    ];
    await run('mvn', args, { timeout: 300_000 });
    if (!(await readdir(fresh)).some((name) => name.startsWith(JAVA_SERVER.artifact))) {
      throw new Error('Maven brought no jars');
    }
    await rename(fresh, target).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(target)) throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lethe</groupId><artifactId>mongo-stand-in</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>${JAVA_SERVER.group}</groupId><artifactId>${JAVA_SERVER.artifact}</artifactId>
    <version>${JAVA_SERVER.version}</version>
  </dependency></dependencies>
</project>
`;

/**
 * The program that starts the stand-in; Java compiles and runs one file by itself. It says that it is a 5.0, since newer
 * drivers refuse what it says by itself, though they understand each other.
 */
export const LAUNCHER = `import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

public class Launcher {
  public static void main(String[] args) throws Exception {
    MongoVersion version = new MongoVersion() {
      public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
      public int getWireVersion() { return 13; }
    };
    MongoServer server = new MongoServer(new MemoryBackend().version(version));
    if (args[1].equals("oplog")) server.enableOplog();
    server.bind("127.0.0.1", Integer.parseInt(args[0]));
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    Thread.currentThread().join();
  }
}
`;
