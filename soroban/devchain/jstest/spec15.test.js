import * as sdk from 'stellar-sdk-15'
import { parity } from './spec.js'

parity('@stellar/stellar-sdk 15', sdk)
