"""Acts on EC2 instances, ECS services and Auto Scaling groups. The only home of boto3 and botocore."""
