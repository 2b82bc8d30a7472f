// Package kafkatest runs a real Apache Kafka for tests: brokers in KRaft mode on
// loopback, each also a controller, as child processes that end with the test
// process however that ends.
//
// The jars come from the installation named by KAFKA_HOME, or are fetched once
// with mvn into .kafka/<version>/libs of the repository, as deployments/kafka/pom.xml
// says. Java 17 or newer must be installed.
package kafkatest
