// What an application does with the JavaScript SDK, done against a development
// chain. The SDK is a parameter, so that each major version runs the same suite.
//
// Environment: RPC_URL, PASSPHRASE, ADMIN_SECRET (may mint), and the contract
// ids CONTENT_ID, VOTES_ID, REWARD_ID and TOKEN_ID.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { before, describe, test } from 'node:test'

import { contracts } from './contracts.js'
import { transactions } from './transactions.js'

function need(name) {
  const value = process.env[name]
  if (!value) throw new Error(`set ${name}; see suite.js, or run the Go test of this directory`)
  return value
}

/** What every test of one SDK shares. */
export class Bench {
  constructor(sdk) {
    this.sdk = sdk
    this.url = need('RPC_URL')
    this.passphrase = need('PASSPHRASE')
    this.admin = sdk.Keypair.fromSecret(need('ADMIN_SECRET'))
    this.ids = {
      content: need('CONTENT_ID'),
      votes: need('VOTES_ID'),
      reward: need('REWARD_ID'),
      token: need('TOKEN_ID'),
    }
    this.server = new sdk.rpc.Server(this.url, { allowHttp: true })
    this.proposal = BigInt(`0x${randomBytes(7).toString('hex')}`)
  }

  /** Makes an account and lets friendbot fund it. */
  async funded() {
    const keys = this.sdk.Keypair.random()
    await this.server.requestAirdrop(keys.publicKey())
    return keys
  }

  /** A contract client that reads the spec from the chain and signs with keys. */
  client(contractId, keys) {
    return this.sdk.contract.Client.from({
      contractId,
      rpcUrl: this.url,
      networkPassphrase: this.passphrase,
      publicKey: keys.publicKey(),
      ...this.sdk.contract.basicNodeSigner(keys, this.passphrase),
      allowHttp: true,
    })
  }

  /** Builds an unsigned contract call with the source's next sequence number. */
  async invoke(contractId, source, method, ...args) {
    const { BASE_FEE, Contract, TransactionBuilder } = this.sdk
    return new TransactionBuilder(await this.server.getAccount(source), {
      fee: BASE_FEE,
      networkPassphrase: this.passphrase,
    })
      .addOperation(new Contract(contractId).call(method, ...args))
      .setTimeout(60)
      .build()
  }

  /** Builds a signed mint of reward tokens by the admin. */
  async mint(to, amount) {
    const { Address, nativeToScVal } = this.sdk
    const draft = await this.invoke(
      this.ids.reward,
      this.admin.publicKey(),
      'mint',
      Address.fromString(to).toScVal(),
      nativeToScVal(amount, { type: 'i128' }),
    )
    const tx = await this.server.prepareTransaction(draft)
    tx.sign(this.admin)
    return tx
  }

  /** Sends a transaction that must be accepted and waits until it is final. */
  async final(tx) {
    const sent = await this.server.sendTransaction(tx)
    assert.equal(sent.status, 'PENDING', JSON.stringify(sent))
    return this.server.pollTransaction(sent.hash, { attempts: 60, sleepStrategy: () => 250 })
  }
}

export const hex = (bytes) => Buffer.from(bytes).toString('hex')

/** Reads a field of an XDR value: a method until version 15, a property since. */
export const field = (value, name) => (typeof value[name] === 'function' ? value[name]() : value[name])

export const sha256 = (text) => createHash('sha256').update(text).digest()

/** Registers the tests for one SDK. They run in order. */
export function suite(name, sdk) {
  describe(name, { concurrency: 1 }, () => {
    const bench = new Bench(sdk)
    network(bench)
    transactions(bench)
    contracts(bench)
  })
}

function network(bench) {
  describe('network', () => {
    let network
    before(async () => {
      network = await bench.server.getNetwork()
    })

    test('getNetwork names the passphrase and a friendbot', () => {
      assert.equal(network.passphrase, bench.passphrase)
      assert.ok(network.friendbotUrl.startsWith(bench.url), network.friendbotUrl)
      assert.ok(Number(network.protocolVersion) >= 23)
    })

    test('getHealth', async () => {
      const health = await bench.server.getHealth()
      assert.equal(health.status, 'healthy')
      assert.ok(health.latestLedger >= health.oldestLedger && health.oldestLedger > 0)
      assert.ok(health.ledgerRetentionWindow > 0)
    })

    test('getLatestLedger decodes its header', async () => {
      const latest = await bench.server.getLatestLedger()
      assert.ok(latest.sequence > 0)
      assert.match(latest.id, /^[0-9a-f]{64}$/)
      assert.equal(String(latest.protocolVersion), String(network.protocolVersion))
      assert.ok(latest.headerXdr && latest.metadataXdr)
    })

    test('getFeeStats', async () => {
      const stats = await bench.server.getFeeStats()
      for (const fees of [stats.inclusionFee, stats.sorobanInclusionFee]) {
        for (const name of ['min', 'mode', 'p10', 'p50', 'p99', 'max', 'transactionCount']) {
          assert.match(fees[name], /^\d+$/, name)
        }
        assert.ok(BigInt(fees.max) >= BigInt(fees.p50) && BigInt(fees.p50) >= BigInt(fees.min))
      }
      assert.ok(stats.latestLedger > 0)
    })

    test('getVersionInfo', async () => {
      const info = await bench.server.getVersionInfo()
      assert.equal(Number(info.protocolVersion), Number(network.protocolVersion))
      assert.equal(typeof info.version, 'string')
    })

    test('friendbot funds a new account once', async () => {
      const keys = bench.sdk.Keypair.random()
      const account = await bench.server.requestAirdrop(keys.publicKey())
      const loaded = await bench.server.getAccount(keys.publicKey())
      assert.equal(loaded.accountId(), keys.publicKey())
      assert.equal(loaded.sequenceNumber(), account.sequenceNumber())
      const again = await bench.server.requestAirdrop(keys.publicKey())
      assert.equal(again.sequenceNumber(), account.sequenceNumber())
      await assert.rejects(bench.server.fundAddress(keys.publicKey()), /createAccountAlreadyExist/)
    })

    test('fundAddress returns the funding transaction', async () => {
      const funding = await bench.server.fundAddress(bench.sdk.Keypair.random().publicKey())
      assert.equal(funding.status, 'SUCCESS')
    })

    test('getAccount of an absent account is refused', async () => {
      await assert.rejects(bench.server.getAccount(bench.sdk.Keypair.random().publicKey()), /not found/i)
    })
  })
}
