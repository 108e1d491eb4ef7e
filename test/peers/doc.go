// Package peers starts the real engines and services that tests need, from
// the packages of the operating system: MariaDB (alone and as a Galera cluster),
// PostgreSQL, RabbitMQ, Cinder and Keystone; and a proxy to cut the way to them.
// Tests alone use it.
//
// A test package has one Shared, whose Run is its TestMain, so that its tests
// share one instance of each engine:
//
//	var engines peers.Shared
//
//	func TestMain(m *testing.M) { os.Exit(engines.Run(m)) }
//
//	func TestRows(t *testing.T) {
//		url := engines.MariaDB(t).New(t) // an empty database of its own
//
// What a test stops, kills or pauses, it starts for itself alone: StartMariaDB,
// StartPostgres, StartRabbitMQ. StartCinder starts some or all services of a
// Cinder, on a database that has its tables:
//
//	c := peers.StartCinder(t, peers.CinderOptions{
//		Database:  engines.MariaDB(t).Cinder(t),
//		Transport: engines.RabbitMQ(t).URL(t),
//	})
//	c.Service(t, "volume").Pause(t)
//
// The engines of another Release are engines.In(peers.Trixie); engines.Each runs a
// test beside every one of Releases.
//
// With engines.Program(t) as its Program, the built program takes Cinder's place.
// StartKeystone starts a Keystone with users of every kind.
//
// Everything listens on loopback, on ports that were free and are given to nobody
// else, and keeps its state in a temporary directory. Nothing outlives the test
// process, however that ends. An engine that is not installed makes its tests skip, or, with
// STOKER_REQUIRE_PEERS=1 in the environment, fail. install.sh installs them.
package peers
