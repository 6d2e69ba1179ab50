// Writes and reads key files with ethers. Standard input has a list of [what, file or key, password]; standard
// output gets a list of files, of keys, and of the words that it refuses with.
import { readFileSync } from "node:fs";
import {
  computeAddress,
  decryptKeystoreJsonSync,
  encryptKeystoreJsonSync,
} from "ethers";

const acts = {
  encrypt: (key, password) =>
    encryptKeystoreJsonSync({ address: computeAddress(key), privateKey: key }, password, {
      scrypt: { N: 4096, r: 8, p: 1 },
    }),
  decrypt: (file, password) => decryptKeystoreJsonSync(file, password).privateKey,
};

const answers = JSON.parse(readFileSync(0, "utf8")).map(([what, subject, password]) => {
  try {
    return acts[what](subject, password);
  } catch (error) {
    return `refused: ${error.shortMessage ?? error.message}`;
  }
});
process.stdout.write(JSON.stringify(answers));
