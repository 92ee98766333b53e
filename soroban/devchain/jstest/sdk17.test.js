import * as sdk from 'stellar-sdk-17'
import { suite } from './suite.js'

suite('@stellar/stellar-sdk 17', sdk)
