// Makes one replica set of the three members, once.
try {
  rs.status();
} catch {
  const members = ['mongo-1', 'mongo-2', 'mongo-3'].map((host, _id) => ({ _id, host: `${host}:27017` }));
  rs.initiate({ _id: 'lethe', members });
}
